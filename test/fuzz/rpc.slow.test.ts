/**
 * Every call of every service, with bytes that are no messages, messages that make no sense, and sensible ones with hostile
 * fields, against a real server on a real PostgreSQL: it answers all of them with a status that blames the caller or with a
 * reply, says nothing of its insides, goes on serving, and leaves no half-written row.
 */
import {
  Client,
  Metadata,
  credentials,
  status,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import fc from 'fast-check';
import { existsSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openContext, type OpenContext } from '../../coordinator/cli/open-context.js';
import { startGrpcServer, type RunningServer } from '../../coordinator/grpc/server.js';
import { openPostgres } from '../../coordinator/storage/postgres/open-postgres.js';
import { silentLog, type Log } from '../../shared/platform/log.js';
import { AccessServiceService } from '../../shared/wire/gen/parzen/v1/access.js';
import { FailureReason, TrialState } from '../../shared/wire/gen/parzen/v1/common.js';
import { StudyServiceService } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialServiceService } from '../../shared/wire/gen/parzen/v1/trial.js';
import { messageBytesMax } from '../../shared/wire/limits.js';
import { violationsNow } from '../chaos/audit.js';
import { instantStudyFile, projectRoot } from '../helpers/cli.js';
import { startTestPostgres, type TestPostgres } from '../helpers/postgres.js';
import { oneAsk } from './one-ask.js';
import { injections, nested, spoiled, wireSoup, withEachText } from './hostile.js';
import { inputsOf, seedOf } from './inputs.js';

type Method = ServiceDefinition[string];
const methods: readonly Method[] = [TrialServiceService, StudyServiceService, AccessServiceService].flatMap(
  (service) => Object.values(service as ServiceDefinition),
);
const nameOf = ({ path: name }: Method): string => name.slice(name.lastIndexOf('/') + 1);

/** Messages that the server would take. */
const params = {
  x: { kind: { $case: 'number', value: 0.5 } },
  kind: { kind: { $case: 'text', value: 'a' } },
};
const worker = {
  workerId: 'w',
  host: 'h',
  gpuUuid: '',
  gpuName: '',
  gpuMemoryBytes: 1,
  slots: 1,
  runtime: 'r',
  version: '0',
  study: 'fuzz',
  trainers: ['instant'],
  sharedGpu: false,
  draining: false,
};
const metrics = { auc: 0.5, dir_acc: 0.5 };
const dataset = {
  hash: 'a'.repeat(64),
  name: 'd',
  layout: 'candles-1',
  rows: 1,
  firstTimeMs: 0,
  lastTimeMs: 1,
  bytes: 1,
  createdAtMs: 0,
};
const templates: Readonly<Record<string, readonly unknown[]>> = {
  Register: [worker],
  Ask: [{ requestId: 'r', workerId: 'w', study: 'fuzz', waitMs: 0, trainers: ['instant'], ahead: false }],
  Report: [{ leaseToken: 'TOKEN', step: 1, metrics }],
  Heartbeat: [{ workerId: 'w', leaseTokens: ['TOKEN', 'x'] }],
  Tell: [
    { leaseToken: 'TOKEN', outcome: { $case: 'completed', value: { metrics } }, peakMemoryBytes: 1 },
    {
      leaseToken: 'TOKEN',
      outcome: { $case: 'failed', value: { reason: FailureReason.OOM, message: 'm' } },
      peakMemoryBytes: 1,
    },
    { leaseToken: 'TOKEN', outcome: { $case: 'pruned', value: {} }, peakMemoryBytes: 0 },
  ],
  Release: [
    { lease: { $case: 'leaseToken', value: 'TOKEN' }, unfit: false, unstarted: false },
    { lease: { $case: 'requestId', value: 'r' }, unfit: true, unstarted: true },
  ],
  PutArtifact: [
    {
      ...{ leaseToken: 'TOKEN', name: 'forecasts', layout: 'parzen-forecasts-v1' },
      content: Buffer.from('x'),
    },
  ],
  GetArtifact: [{ study: 'fuzz', number: 0, name: 'forecasts' }],
  FetchDataset: [{ hash: 'a'.repeat(64) }],
  CreateStudy: [{ definitionText: instantStudyFile('fuzz', 100_000), trials: 0, dataset: '' }],
  ListTrials: [{ study: 'fuzz', fromNumber: 0, limit: 10, states: [TrialState.RUNNING] }],
  EnqueueTrial: [{ study: 'fuzz', requestId: 'r', params }],
  UploadDataset: [
    { part: { $case: 'dataset', value: dataset } },
    { part: { $case: 'chunk', value: Buffer.from('x') } },
  ],
};

/** Whose fault a call was: never ours. */
const blameless: ReadonlySet<status> = new Set([
  status.OK,
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
  status.RESOURCE_EXHAUSTED,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);
const insides =
  /\n\s+at |node_modules|\.[jt]s:\d|dist\/|\bselect \w|insert into|duplicate key|violates|TypeError|RangeError/;

const deadlineMs = 30_000;
/** A watcher is answered for ever; this long is enough to see that it is answered. */
const watchMs = 100;

let postgres: TestPostgres;
let opened: OpenContext;
let server: RunningServer;
let client: Client;
let database: Parameters<typeof violationsNow>[0];
const unexpected: string[] = [];
const tokens: string[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
  database = await postgres.freshDatabase();
  const log: Log = {
    ...silentLog,
    error: (fields, message) => unexpected.push(`${message}: ${JSON.stringify(fields)}`),
  };
  const storage = await openPostgres({ connection: database, log });
  opened = await openContext(storage, log, { serves: null });
  server = await startGrpcServer({
    ...opened,
    listen: '127.0.0.1:0',
    protoDirectory: path.join(projectRoot, 'proto'),
  });
  // One connection for all: what a call does to it shows in the calls after it.
  client = new Client(server.address, credentials.createInsecure(), { 'grpc.max_send_message_length': -1 });
});
afterAll(async () => {
  client.close();
  await server.stop();
  await opened.context.storage.close();
  await postgres.stop();
});

/** The column `text` of what a query finds. */
async function texts(query: string): Promise<readonly string[]> {
  const connection = new pg.Client(database);
  await connection.connect();
  try {
    return (await connection.query<{ text: string }>(query)).rows.map(({ text }) => text);
  } finally {
    await connection.end();
  }
}

interface Reply {
  readonly code: status;
  readonly details: string;
}

/** One call with these bytes as its message. */
function send(method: Method, message: Buffer): Promise<Reply> {
  const pass = (bytes: Buffer): Buffer => bytes;
  const options = { deadline: Date.now() + deadlineMs };
  return new Promise((resolve) => {
    const end = (error: ServiceError | null): void =>
      resolve(
        error === null ? { code: status.OK, details: '' } : { code: error.code, details: error.details },
      );
    if (method.responseStream) {
      const call = client.makeServerStreamRequest(method.path, pass, pass, message, new Metadata(), options);
      call
        .on('data', () => undefined)
        .on('error', (error) => end(error as ServiceError))
        .on('end', () => end(null));
      setTimeout(() => {
        end(null);
        call.cancel();
      }, watchMs);
    } else if (method.requestStream) {
      const call = client.makeClientStreamRequest(method.path, pass, pass, new Metadata(), options, end);
      call.on('error', () => undefined);
      call.write(message);
      call.end();
    } else client.makeUnaryRequest(method.path, pass, pass, message, new Metadata(), options, end);
  });
}

/** What gRPC says everywhere of bytes that are no message of the method. */
const isUndecodable = ({ code, details }: Reply): boolean =>
  code === status.INTERNAL && details === 'Error deserializing request';

/** What is wrong with an answer; null when nothing is. */
const complaint = (method: Method, { code, details }: Reply): string | null =>
  isUndecodable({ code, details }) || (blameless.has(code) && !insides.test(details))
    ? null
    : `${nameOf(method)}: ${status[code]} ${details.slice(0, 300)}`;

/** A lease for every TOKEN: some real, some long gone. */
function withToken(value: unknown, token: string): unknown {
  if (value === 'TOKEN') return token;
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) return value.map((each) => withToken(each, token));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withToken(each, token)]));
}

/** A message of a method by its own encoder; null when that has no bytes for it. */
function encoded(method: Method, value: unknown): Buffer | null {
  try {
    return method.requestSerialize(value);
  } catch {
    return null;
  }
}

const anyMethod = fc.constantFrom(...methods);
const spoiledMessage = anyMethod.chain((method) =>
  fc
    .constantFrom(...(templates[nameOf(method)] ?? [{ name: 'fuzz', id: 'x', role: 'x' }]))
    .chain((template) => spoiled(template))
    .map((value) => ({
      method,
      message: encoded(method, withToken(value, tokens[0] ?? 'gone')) ?? Buffer.alloc(0),
    })),
);
const noMessage = fc.record({
  method: anyMethod,
  message: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
});
const anyMessage = fc.record({ method: anyMethod, message: wireSoup });

/** A study to act on, and a fresh lease. */
async function provide(): Promise<void> {
  const { gateway } = opened;
  const definitionText = instantStudyFile('fuzz', 100_000);
  await gateway.create({ definitionText, trials: null, dataset: null }).catch(() => undefined);
  const study = (await gateway.list()).find(({ name }) => name === 'fuzz');
  if (study !== undefined && study.state !== 'RUNNING') await gateway.resume('fuzz').catch(() => undefined);
  const [leased] = tokens;
  if (leased !== undefined && Math.random() < 0.5) return;
  const token = await oneAsk(opened.context);
  if (token !== null) tokens.unshift(token);
}

/** Inputs per property: batches of calls that are under way together. */
const batch = 25;
const batches = Math.ceil(inputsOf(600) / batch);

describe('every call answers and gives nothing away, for', () => {
  const property = (calls: fc.Arbitrary<{ readonly method: Method; readonly message: Buffer }>) =>
    fc.asyncProperty(fc.array(calls, { minLength: batch, maxLength: batch }), async (sent) => {
      await provide();
      const replies = await Promise.all(sent.map(({ method, message }) => send(method, message)));
      const complaints = replies.flatMap((reply, index) => complaint(sent[index]!.method, reply) ?? []);
      expect([...complaints, ...unexpected.splice(0)]).toEqual([]);
    });
  const check = async (calls: Parameters<typeof property>[0]): Promise<void> => {
    const seed = seedOf(batch * batches);
    await fc.assert(property(calls), { numRuns: batches, seed, endOnFailure: true });
    expect(await violationsNow(database)).toEqual([]);
  };

  it('sensible messages: the templates say all that there is to say', () => {
    for (const method of methods)
      for (const template of templates[nameOf(method)] ?? []) {
        const message = encoded(method, template);
        const fields = message === null ? null : Object.keys(method.requestDeserialize(message) as object);
        expect({ method: nameOf(method), fields }).toEqual({
          method: nameOf(method),
          fields: expect.arrayContaining(Object.keys(template as object)) as unknown,
        });
        expect(fields).toHaveLength(Object.keys(template as object).length);
      }
  });

  it('bytes that are no messages', () => check(noMessage));
  it('messages that make no sense', () => check(anyMessage));
  it('sensible messages with hostile fields', () => check(spoiledMessage));

  it('texts that mean something elsewhere, in every text of every message', async () => {
    const calls = methods.flatMap((method) =>
      (templates[nameOf(method)] ?? [{ name: 'other', id: 'x', role: 'x' }]).flatMap((template) =>
        injections.flatMap((text) => withEachText(template, text)).map((value) => ({ method, value })),
      ),
    );
    expect(calls.length).toBeGreaterThan(300);
    const tables = "select tablename as text from pg_tables where schemaname = 'parzen' order by 1";
    const before = await texts(tables);
    for (let at = 0; at < calls.length; at += batch) {
      await provide();
      const replies = calls.slice(at, at + batch).map(async ({ method, value }) => {
        // A lease of its own, so that what it says is stored.
        const leased = JSON.stringify(value).includes('TOKEN') ? await oneAsk(opened.context) : null;
        const message = encoded(method, leased === null ? value : withToken(value, leased))!;
        return complaint(method, await send(method, message));
      });
      expect((await Promise.all(replies)).filter((each) => each !== null)).toEqual([]);
    }
    expect(unexpected.splice(0)).toEqual([]);
    expect(await texts(tables)).toEqual(before);
    expect(existsSync('/tmp/parzen-injected')).toBe(false);
    expect(await violationsNow(database)).toEqual([]);
    // What may be any text is kept as it is, letter by letter.
    const kept = await texts(
      'select id as text from parzen.workers union all select distinct message from parzen.trial_attempts',
    );
    for (const text of injections) expect(kept.filter((each) => each === text)).toEqual([text, text]);
  });

  it('messages that are nested thousands of times, or too large', async () => {
    const messages = [1, 2, 3, 4].map((id) => nested(id, 3_000));
    for (const method of methods)
      for (const message of [...messages, Buffer.alloc(messageBytesMax + 1)])
        expect(complaint(method, await send(method, message))).toBeNull();
    expect(unexpected.splice(0)).toEqual([]);
  });

  it('texts that come back in the message of an error, however long', async () => {
    const enqueue = methods.find((method) => nameOf(method) === 'EnqueueTrial')!;
    const create = methods.find((method) => nameOf(method) === 'CreateStudy')!;
    await provide();
    const long = 'ä'.repeat(70_000);
    for (const [method, value] of [
      [enqueue, { study: 'fuzz', requestId: 'r', params: { [long]: params.x } }],
      [
        enqueue,
        { study: 'fuzz', requestId: 'r', params: { kind: { kind: { $case: 'text', value: long } } } },
      ],
      // The message shows the beginning of a value: wherever it is cut, some of these are cut in two.
      ...Array.from({ length: 4 }, (_, at): [Method, unknown] => [
        create,
        { definitionText: `name: "${'a'.repeat(at)}${'😀'.repeat(500)}"`, trials: 0, dataset: '' },
      ]),
      [create, { definitionText: 'k: 1\n'.repeat(2_000), trials: 0, dataset: '' }],
    ] as const) {
      const reply = await send(method, encoded(method, value)!);
      expect({ ...reply, details: reply.details.slice(0, 100) }).toMatchObject({
        code: status.INVALID_ARGUMENT,
      });
      expect(encodeURI(reply.details).length).toBeLessThan(8 * 1024);
    }
  });

  it('and afterwards the study goes on, and all of it can be read and recomputed', async () => {
    await provide();
    const { gateway } = opened;
    for (const { name } of await gateway.list()) {
      await gateway.trials(name, { fromNumber: 0, limit: 100, states: [] });
      expect((await gateway.verify(name)).difference).toBeNull();
    }
    expect(await violationsNow(database)).toEqual([]);
  });
});
