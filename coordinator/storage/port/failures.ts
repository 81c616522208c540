/** The store cannot be reached or refuses work right now; the caller may try again. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable';
}

/** A request id has led to an attempt before, in this study or another: look for it with `findRequest`. */
export class RequestTaken extends Error {
  override readonly name = 'RequestTaken';

  constructor(options?: ErrorOptions) {
    super('a request already led to an attempt', options);
  }
}

/** Whoever made the call had gone before its turn came: nothing was done. */
export class CallEnded extends Error {
  override readonly name = 'CallEnded';

  constructor() {
    super('the call ended before its turn came');
  }
}
