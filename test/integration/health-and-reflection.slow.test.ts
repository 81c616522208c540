/** What probes and tools see: the standard health service, and reflection, through clients that know only those. */
import {
  credentials,
  loadPackageDefinition,
  type GrpcObject,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { createRequire } from 'node:module';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { startGrpcServer, type RunningServer } from '../../coordinator/grpc/server.js';
import { createMemoryStorage } from '../../coordinator/storage/memory/create-memory-storage.js';
import { testApp } from '../helpers/app.js';

const reflectionProtoPath = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json')),
  'build/proto/grpc/reflection/v1/reflection.proto',
);

function clientOf(file: string, ...names: string[]): ServiceClientConstructor {
  let found: unknown = loadPackageDefinition(loadSync(file, { keepCase: true }));
  for (const name of names) found = (found as GrpcObject)[name];
  return found as ServiceClientConstructor;
}

describe('health and reflection', () => {
  let server: RunningServer;
  beforeAll(async () => {
    const { context } = testApp(createMemoryStorage());
    server = await startGrpcServer({
      context,
      gateway: localGateway(context, () => ({ kind: 'problems', text: '' })),
      listen: '127.0.0.1:0',
      protoDirectory: path.resolve(import.meta.dirname, '../../proto'),
    });
  });
  afterAll(() => server.stop());

  it('answers SERVING', async () => {
    const client = new (clientOf(healthProtoPath, 'grpc', 'health', 'v1', 'Health'))(
      server.address,
      credentials.createInsecure(),
    );
    const answer = await new Promise((resolve, reject) =>
      client['Check']!(
        { service: '' },
        { deadline: Date.now() + 5_000 },
        (error: Error | null, response: unknown) => (error === null ? resolve(response) : reject(error)),
      ),
    );
    expect(answer).toMatchObject({ status: 1 });
    client.close();
  });

  it('lists both services and describes a message', async () => {
    const client = new (clientOf(reflectionProtoPath, 'grpc', 'reflection', 'v1', 'ServerReflection'))(
      server.address,
      credentials.createInsecure(),
    );
    const ask = (request: object): Promise<Record<string, never>> =>
      new Promise((resolve, reject) => {
        const stream = client['ServerReflectionInfo']!({ deadline: Date.now() + 5_000 });
        stream.on('data', (response: Record<string, never>) => resolve(response)).on('error', reject);
        stream.write(request);
        stream.end();
      });
    const listed = await ask({ list_services: '' });
    const names = (listed['list_services_response']!['service'] as { name: string }[]).map(
      ({ name }) => name,
    );
    expect(names).toEqual(expect.arrayContaining(['parzen.v1.TrialService', 'parzen.v1.StudyService']));
    const described = await ask({ file_containing_symbol: 'parzen.v1.Assignment' });
    expect(
      (described['file_descriptor_response']!['file_descriptor_proto'] as Buffer[])[0]!.length,
    ).toBeGreaterThan(100);
    client.close();
  });
});
