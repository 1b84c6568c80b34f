/** Whether a workload may be scaled by us: not when something else would scale it back while its volumes are being written. */
import { GROUP } from '../api/index.ts';
import { displayList } from './display.ts';
import type { Failure } from './failure-reason.ts';
import type { WorkloadFact } from './restore-facts.ts';

/** A person's word that whatever manages the workload is paused. */
export const ANNOTATION_PAUSED = `${GROUP}/reconciliation-paused`;

interface Manager {
  readonly name: string;
  /** Keys of labels or annotations that it puts on what it manages. */
  readonly marks: readonly string[];
  /** The annotation with which it is told to keep its hands off, as its documentation says. */
  readonly off: { readonly key: string; readonly value: string } | undefined;
}

const MANAGERS: readonly Manager[] = [
  {
    name: 'Flux (kustomize-controller)',
    marks: ['kustomize.toolkit.fluxcd.io/name'],
    off: { key: 'kustomize.toolkit.fluxcd.io/reconcile', value: 'disabled' },
  },
  {
    name: 'Flux (helm-controller)',
    marks: ['helm.toolkit.fluxcd.io/name'],
    off: { key: 'helm.toolkit.fluxcd.io/driftDetection', value: 'disabled' },
  },
  { name: 'Argo CD', marks: ['argocd.argoproj.io/tracking-id', 'argocd.argoproj.io/instance'], off: undefined },
];

export function checkWorkload(described: string, workload: WorkloadFact): Failure | undefined {
  switch (workload.state) {
    case 'none':
      return undefined;
    case 'missing':
      return {
        reason: 'WorkloadMissing',
        message: `${described} does not exist. Create it (0 replicas are enough), or take spec.workload out of the BackupPolicy.`,
      };
    case 'notScalable':
      return { reason: 'WorkloadNotScalable', message: `${described} cannot be scaled: ${workload.message}` };
    case 'found':
      return autoscaled(described, workload.autoscalers) ?? managed(described, workload);
  }
}

function autoscaled(described: string, autoscalers: readonly string[]): Failure | undefined {
  if (autoscalers.length === 0) return undefined;
  return {
    reason: 'WorkloadAutoscaled',
    message: `HorizontalPodAutoscaler ${displayList(autoscalers)} would scale ${described} up while its volumes are restored. Delete it for the time of the restore.`,
  };
}

function managed(described: string, workload: WorkloadFact & { readonly state: 'found' }): Failure | undefined {
  const { labels, annotations } = workload;
  if (annotations[ANNOTATION_PAUSED] === 'true') return undefined;
  const manager = MANAGERS.find(({ marks }) => marks.some((mark) => mark in labels || mark in annotations));
  if (manager === undefined) return undefined;
  const { off } = manager;
  if (off !== undefined && annotations[off.key]?.toLowerCase() === off.value) return undefined;
  const how = off === undefined ? 'switch its self-healing off for the time of the restore' : `annotate the workload with ${off.key}: ${off.value}`;
  return {
    reason: 'WorkloadManaged',
    message: `${described} is managed by ${manager.name}, which may scale it up while its volumes are restored: ${how}, or annotate it with ${ANNOTATION_PAUSED}: "true" once that is paused.`,
  };
}
