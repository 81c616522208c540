/** Variables that deploy/ and k8s/ set ahead of the programs: a release must have none. */
export const pendingVariables = {
  coordinator: [
    'PARZEN_HEALTH_LISTEN',
    'PARZEN_METRICS',
    'PARZEN_INSECURE_METRICS',
    'PARZEN_TLS_CERT',
    'PARZEN_TLS_KEY',
  ],
  worker: [
    'PARZEN_HEALTH_LISTEN',
    'PARZEN_METRICS',
    'PARZEN_INSECURE_METRICS',
    'PARZEN_TLS_CA',
    'PARZEN_TOKEN_FILE',
  ],
} as const satisfies Record<string, readonly string[]>;
