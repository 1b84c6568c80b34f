/** In which pod and container a hook or a stream runs. */
import type { Failure } from './failure-reason.ts';

/** A pod of the namespace that is not one of our movers. */
export interface ExecPodFact {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly claims: readonly string[];
  /** Runs, is ready and is not being deleted. */
  readonly ready: boolean;
  /** Names, in the order of the pod. */
  readonly containers: readonly string[];
  /** As the pod's annotation says. */
  readonly defaultContainer: string | undefined;
}

export interface ExecTarget {
  readonly podSelector?: Readonly<Record<string, string>> | undefined;
  readonly container?: string | undefined;
}

export interface ExecPlace {
  readonly pod: string;
  readonly container: string;
}

export type Places =
  /** Ready pods, by name. */
  | { readonly kind: 'found'; readonly places: readonly ExecPlace[] }
  /** Pods match, but none is ready. */
  | { readonly kind: 'unready'; readonly message: string }
  | { readonly kind: 'none'; readonly message: string }
  /** Waiting does not help. */
  | ({ readonly kind: 'wrong' } & Failure);

/** @param claims - of the backup: who mounts one of them is meant where the target names no labels */
export function placesOf(target: ExecTarget, claims: readonly string[], pods: readonly ExecPodFact[]): Places {
  const { podSelector } = target;
  const wanted = podSelector === undefined ? pods.filter((pod) => pod.claims.some((claim) => claims.includes(claim))) : pods.filter((pod) => hasLabels(pod, podSelector));
  const meant = podSelector === undefined ? 'mounts one of the volumes' : `has the labels ${labelsText(podSelector)}`;
  if (wanted.length === 0) return { kind: 'none', message: `No pod of the namespace ${meant}.` };
  const ready = wanted.filter((pod) => pod.ready).toSorted((one, other) => (one.name < other.name ? -1 : 1));
  if (ready.length === 0) return { kind: 'unready', message: `Pod ${wanted[0]?.name ?? ''} ${meant}, but is not ready.` };
  const places: ExecPlace[] = [];
  for (const pod of ready) {
    const container = target.container ?? pod.defaultContainer ?? pod.containers[0] ?? '';
    if (!pod.containers.includes(container)) {
      return { kind: 'wrong', reason: 'ContainerMissing', message: `Pod ${pod.name} has no container ${container}; it has ${pod.containers.join(', ')}. Name one of them in the BackupPolicy.` };
    }
    places.push({ pod: pod.name, container });
  }
  return { kind: 'found', places };
}

function hasLabels(pod: ExecPodFact, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([key, value]) => pod.labels[key] === value);
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
