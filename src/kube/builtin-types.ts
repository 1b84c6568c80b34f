/** The built-in kinds that controllers read, reduced to the fields that some decision looks at. */
import type { KubeObject, ResourceType } from './object.ts';
import { projectMeta } from './project-meta.ts';

export interface Namespace extends KubeObject {
  readonly status?: { readonly phase?: 'Active' | 'Terminating' };
}

export interface Secret extends KubeObject {
  readonly type?: string;
  /** base64 */
  readonly data?: Readonly<Record<string, string>>;
}

export interface PersistentVolumeClaim extends KubeObject {
  readonly spec: { readonly volumeName?: string; readonly volumeMode?: 'Filesystem' | 'Block'; readonly accessModes?: readonly string[] };
  readonly status?: { readonly phase?: string };
}

export interface PodCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface ContainerStatus {
  readonly name: string;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: { readonly startedAt?: string };
    readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string; readonly finishedAt?: string };
  };
}

export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly volumes?: readonly { readonly name: string; readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean } }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly PodCondition[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface Job extends KubeObject {
  readonly spec: { readonly suspend?: boolean };
  readonly status?: {
    readonly active?: number;
    readonly succeeded?: number;
    readonly failed?: number;
    readonly conditions?: readonly PodCondition[];
  };
}

/** core/v1, as kubelet and controllers write it. */
export interface CoreEvent extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
  readonly involvedObject: { readonly kind?: string; readonly namespace?: string; readonly name?: string; readonly uid?: string };
}

export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number;
  };
}

interface Shape {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Top-level fields that are kept whole. */
  readonly keep: readonly string[];
}

function builtin<T extends KubeObject>({ apiVersion, kind, plural, namespaced, keep }: Shape, shorten?: (object: T) => T): ResourceType<T> {
  return {
    apiVersion,
    kind,
    plural,
    namespaced,
    strict: false,
    project: (raw) => {
      const fields = new Map<string, unknown>(Object.entries(raw));
      const kept = Object.fromEntries(keep.filter((name) => fields.has(name)).map((name) => [name, fields.get(name)]));
      // Typed by the interfaces above, which name fields of stable Kubernetes APIs.
      const object = { apiVersion, kind, metadata: projectMeta(raw.metadata), ...kept } as unknown as T;
      return shorten === undefined ? object : shorten(object);
    },
  };
}

export const NAMESPACES = builtin<Namespace>({ apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false, keep: ['status'] });
export const SECRETS = builtin<Secret>({ apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true, keep: ['type', 'data'] });
export const PERSISTENT_VOLUME_CLAIMS = builtin<PersistentVolumeClaim>(
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims', namespaced: true, keep: ['spec', 'status'] },
  (claim) => ({ ...claim, spec: pick(claim.spec, 'volumeName', 'volumeMode', 'accessModes'), status: pick(claim.status ?? {}, 'phase') }),
);
export const PODS = builtin<Pod>({ apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true, keep: ['spec', 'status'] }, (pod) => ({
  ...pod,
  spec: pick(pod.spec, 'nodeName', 'volumes'),
  status: pick(pod.status ?? {}, 'phase', 'reason', 'message', 'conditions', 'containerStatuses'),
}));
export const JOBS = builtin<Job>({ apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs', namespaced: true, keep: ['spec', 'status'] }, (job) => ({
  ...job,
  spec: pick(job.spec, 'suspend'),
}));
export const EVENTS = builtin<CoreEvent>({
  apiVersion: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
  keep: ['type', 'reason', 'message', 'count', 'lastTimestamp', 'eventTime', 'series', 'involvedObject'],
});
export const LEASES = builtin<Lease>({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases', namespaced: true, keep: ['spec'] });

function pick<T extends object, K extends keyof T>(object: T, ...names: readonly K[]): Pick<T, K> {
  const picked: Partial<Pick<T, K>> = {};
  for (const name of names) {
    if (object[name] !== undefined) picked[name] = object[name];
  }
  return picked as Pick<T, K>;
}
