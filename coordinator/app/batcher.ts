interface Waiting<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatcherOptions {
  /** Requests per call at most. */
  readonly sizeMax: number;
  /** Waits before each call for more requests to come; not at all by default. */
  readonly gather?: () => Promise<void>;
}

/** Puts small requests together: what comes while a call is under way goes into the next one. */
export class Batcher<Request, Answer> {
  readonly #call: (requests: readonly Request[]) => Promise<readonly Answer[]>;
  readonly #options: BatcherOptions;
  readonly #waiting: Waiting<Request, Answer>[] = [];
  #busy = false;

  /** `call` answers one per request, in their order; when it rejects, so do they all. */
  constructor(call: (requests: readonly Request[]) => Promise<readonly Answer[]>, options: BatcherOptions) {
    this.#call = call;
    this.#options = options;
  }

  load(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      await this.#options.gather?.();
      const batch = this.#waiting.splice(0, this.#options.sizeMax);
      try {
        const answers = await this.#call(batch.map(({ request }) => request));
        batch.forEach(({ resolve }, index) => resolve(answers[index] as Answer));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#busy = false;
  }
}
