/**
 * The Pod Security Standard "restricted", as the admission controller checks it (pod-security-admission, policy/check_*.go)
 * for Linux pods. Answers what is wrong, field by field.
 */
import type { Manifest } from './manifests.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- shapes are the schema's business (schema.ts) */
type Fields = Readonly<Record<string, any>>;

const volumeKinds = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim'],
  ...['projected', 'secret'],
];

/** Types of SELinux that containers may ask for. */
const seLinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];

const safeSysctls = [
  ...['kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_unprivileged_port_start'],
  ...['net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range', 'net.ipv4.ip_local_reserved_ports'],
  ...['net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout', 'net.ipv4.tcp_keepalive_intvl'],
  ...['net.ipv4.tcp_keepalive_probes', 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem'],
];

export const podSpecOf = (workload: Manifest): Fields => workload['spec'].template.spec as Fields;

export const containersOf = (pod: Fields): readonly Fields[] =>
  ['initContainers', 'containers', 'ephemeralContainers'].flatMap(
    (kind) => (pod[kind] ?? []) as readonly Fields[],
  );

/** Violations of a pod's spec; empty when it may run in a restricted namespace. */
export const violations = (pod: Fields): readonly string[] => [
  ...ofPod(pod),
  ...containersOf(pod).flatMap((container) =>
    ofContainer(container, (pod['securityContext'] ?? {}) as Fields).map(
      (what) => `${String(container['name'])}: ${what}`,
    ),
  ),
];

function ofPod(pod: Fields): readonly string[] {
  const context = (pod['securityContext'] ?? {}) as Fields;
  const wrong: string[] = [];
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) if (pod[field] === true) wrong.push(field);
  for (const { name, ...volume } of (pod['volumes'] ?? []) as Fields[])
    for (const kind of Object.keys(volume))
      if (!volumeKinds.includes(kind)) wrong.push(`volume ${String(name)}: ${kind}`);
  for (const { name, ...volume } of (pod['volumes'] ?? []) as Fields[])
    if (Object.keys(volume).length === 0) wrong.push(`volume ${String(name)}: nothing`);
  for (const { name } of (context['sysctls'] ?? []) as Fields[])
    if (!safeSysctls.includes(String(name))) wrong.push(`sysctl ${String(name)}`);
  if (context['runAsUser'] === 0) wrong.push('runAsUser 0');
  return [...wrong, ...ofAnyContext(context)];
}

/** Rules for the security context of a pod as of a container. */
function ofAnyContext(context: Fields): readonly string[] {
  const {
    seLinuxOptions = {},
    appArmorProfile,
    windowsOptions,
  } = context as Record<string, Fields | undefined>;
  const wrong: string[] = [];
  if (!['RuntimeDefault', 'Localhost'].includes(String(appArmorProfile?.['type'] ?? 'RuntimeDefault')))
    wrong.push('appArmorProfile');
  const { type = '', user, role } = seLinuxOptions as Record<string, string>;
  if (!seLinuxTypes.includes(type) || user !== undefined || role !== undefined) wrong.push('seLinuxOptions');
  if (windowsOptions?.['hostProcess'] === true) wrong.push('hostProcess');
  return wrong;
}

function ofContainer(container: Fields, pod: Fields): readonly string[] {
  const context = (container['securityContext'] ?? {}) as Fields;
  const wrong: string[] = [];
  const demand = (holds: boolean, what: string): unknown => !holds && wrong.push(what);
  const effective = (field: string): any => context[field] ?? pod[field];
  demand(context['allowPrivilegeEscalation'] === false, 'allowPrivilegeEscalation');
  demand(context['privileged'] !== true, 'privileged');
  const { add = [], drop = [] } = (context['capabilities'] ?? {}) as Record<string, string[]>;
  demand(drop.includes('ALL'), 'capabilities.drop');
  demand(
    add.every((each) => each === 'NET_BIND_SERVICE'),
    'capabilities.add',
  );
  demand(effective('runAsNonRoot') === true, 'runAsNonRoot');
  demand(context['runAsUser'] !== 0, 'runAsUser 0');
  const profile = effective('seccompProfile')?.type as string | undefined;
  demand(profile === 'RuntimeDefault' || profile === 'Localhost', 'seccompProfile');
  demand((context['procMount'] ?? 'Default') === 'Default', 'procMount');
  demand(!((container['ports'] ?? []) as Fields[]).some(({ hostPort = 0 }) => hostPort !== 0), 'hostPort');
  const handlers = [
    ...['startupProbe', 'livenessProbe', 'readinessProbe'].map((probe) => container[probe]),
    ...['postStart', 'preStop'].map((hook) => container['lifecycle']?.[hook]),
  ];
  demand(!handlers.some((handler) => handler?.httpGet?.host ?? handler?.tcpSocket?.host), 'host of a probe');
  return [...wrong, ...ofAnyContext(context)];
}
