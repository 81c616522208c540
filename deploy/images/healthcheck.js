/* global fetch, AbortSignal */
// Asks the health listener of the program in this container; exit code 0 says it is well. For Docker's HEALTHCHECK:
// Kubernetes asks by itself.
//
//   node healthcheck.js grpc live|ready     the coordinator
//   node healthcheck.js http /livez         a worker
//
// The address is PARZEN_HEALTH_LISTEN of the coordinator, PARZEN_HEALTH of a worker, as the programs themselves read them; all
// of a container's addresses include loopback.
const [kind, what] = process.argv.slice(2);
const limitMs = 4_000;
const variable = kind === 'grpc' ? 'PARZEN_HEALTH_LISTEN' : 'PARZEN_HEALTH';
const port = /:(\d+)$/.exec(process.env[variable] ?? '')?.[1];

async function overGrpc(service) {
  const [{ credentials, makeGenericClientConstructor }, health] = await Promise.all([
    import('@grpc/grpc-js'),
    import('grpc-health-check'),
  ]);
  const Client = makeGenericClientConstructor(health.service, 'Health');
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise((resolve, reject) =>
    client.check({ service }, { deadline: Date.now() + limitMs }, (error, response) =>
      error === null ? resolve(String(response.status)) : reject(error),
    ),
  );
}

async function overHttp(path) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(limitMs) });
  return response.ok ? 'SERVING' : `${response.status}`;
}

try {
  if (port === undefined) throw new Error(`${variable} is not set to HOST:PORT`);
  const status = kind === 'grpc' ? await overGrpc(what) : await overHttp(what);
  console.log(status);
  process.exit(status === 'SERVING' || status === '1' ? 0 : 1);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
