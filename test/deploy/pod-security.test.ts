/** Every pod may run in a namespace that enforces "restricted", and has what a careful operator asks for on top. */
import { describe, expect, it } from 'vitest';
import { everything, ofKind, workloads } from './manifests.js';
import { containersOf, podSpecOf, violations } from './pod-security.js';

/** A pod that keeps every rule. */
const good = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  volumes: [{ name: 'v', emptyDir: {} }],
  containers: [
    { name: 'c', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
  ],
};
const withContainer = (fields: object): object => ({
  ...good,
  containers: [{ ...good.containers[0], ...fields }],
});
const withContext = (fields: object): object =>
  withContainer({ securityContext: { ...good.containers[0]!.securityContext, ...fields } });

describe('the check of the standard', () => {
  it('finds nothing wrong with a pod that keeps it', () => {
    expect(violations(good)).toEqual([]);
    expect(violations(withContext({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }))).toEqual(
      [],
    );
  });

  it.each<readonly [string, object]>([
    ['hostNetwork', { ...good, hostNetwork: true }],
    ['hostPID', { ...good, hostPID: true }],
    ['volume v: hostPath', { ...good, volumes: [{ name: 'v', hostPath: { path: '/' } }] }],
    ['runAsUser 0', { ...good, securityContext: { ...good.securityContext, runAsUser: 0 } }],
    ['c: runAsUser 0', withContext({ runAsUser: 0 })],
    ['c: runAsNonRoot', withContext({ runAsNonRoot: false })],
    ['c: seccompProfile', withContext({ seccompProfile: { type: 'Unconfined' } })],
    ['c: allowPrivilegeEscalation', withContext({ allowPrivilegeEscalation: true })],
    ['c: privileged', withContext({ privileged: true })],
    ['c: capabilities.drop', withContext({ capabilities: { drop: ['NET_RAW'] } })],
    ['c: capabilities.add', withContext({ capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } })],
    ['c: procMount', withContext({ procMount: 'Unmasked' })],
    ['c: hostPort', withContainer({ ports: [{ containerPort: 1, hostPort: 1 }] })],
    ['volume v: nothing', { ...good, volumes: [{ name: 'v' }] }],
    ['c: appArmorProfile', withContext({ appArmorProfile: { type: 'Unconfined' } })],
    ['c: seLinuxOptions', withContext({ seLinuxOptions: { type: 'spc_t' } })],
    [
      'seLinuxOptions',
      { ...good, securityContext: { ...good.securityContext, seLinuxOptions: { user: 'root' } } },
    ],
    ['c: hostProcess', withContext({ windowsOptions: { hostProcess: true } })],
    ['c: host of a probe', withContainer({ livenessProbe: { httpGet: { host: '10.0.0.1', port: 1 } } })],
    [
      'sysctl kernel.msgmax',
      { ...good, securityContext: { ...good.securityContext, sysctls: [{ name: 'kernel.msgmax' }] } },
    ],
  ])('sees %s', (what, pod) => expect(violations(pod as Record<string, unknown>)).toEqual([what]));
});

describe.each(everything)('%s', (_name, read) => {
  const manifests = read();

  it('keeps "restricted", which its namespace enforces', () => {
    const [namespace] = ofKind(manifests, 'Namespace');
    for (const mode of ['enforce', 'audit', 'warn'])
      expect(namespace!.metadata.labels).toMatchObject({
        [`pod-security.kubernetes.io/${mode}`]: 'restricted',
      });
    expect(workloads(manifests).length).toBeGreaterThanOrEqual(2);
    for (const workload of workloads(manifests))
      expect({ [workload.metadata.name]: violations(podSpecOf(workload)) }).toEqual({
        [workload.metadata.name]: [],
      });
  });

  it('asks for memory and CPU, takes no API token, reads no variables of services, and says why it died', () => {
    for (const workload of workloads(manifests)) {
      const pod = podSpecOf(workload);
      expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
      for (const { resources, terminationMessagePolicy, imagePullPolicy } of containersOf(pod)) {
        expect(resources).toMatchObject({
          requests: { cpu: expect.anything(), memory: expect.anything() },
          limits: { memory: expect.anything() },
        });
        expect(terminationMessagePolicy).toBe('FallbackToLogsOnError');
        expect(imagePullPolicy).toBeUndefined();
      }
    }
  });

  it('has a read-only root wherever no GPU is handed over', () => {
    for (const workload of workloads(manifests))
      for (const { securityContext, resources } of containersOf(podSpecOf(workload)))
        if (!Object.keys(resources.limits as object).some((name) => name.startsWith('nvidia.com/')))
          expect(securityContext).toMatchObject({ readOnlyRootFilesystem: true });
  });

  it('watches what runs for ever by three probes', () => {
    for (const workload of workloads(manifests).filter(({ kind }) => kind !== 'Job'))
      for (const container of containersOf(podSpecOf(workload)))
        for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'])
          expect(container[probe], `${workload.metadata.name} ${probe}`).toBeDefined();
  });
});
