// What kwok plays: nodes that are ready, and movers' pods that run for a while and end with a result. No container runs and nothing
// reaches a bucket: the result is said where the kubelet would show it, in the termination message, as a real mover's short form is.
import { LABEL_BACKUP_UID, MOVER_CONTRACT_VERSION } from '../../src/api/index.ts';

/** How long a simulated mover works: `least` and up to `spread` more. */
export interface MoverTime {
  readonly leastMs: number;
  readonly spreadMs: number;
}

const NODE_STATUS = `
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
addresses:
- address: {{ NodeIP | Quote }}
  type: InternalIP
allocatable: { cpu: 1k, memory: 1Ti, pods: 1M }
capacity: { cpu: 1k, memory: 1Ti, pods: 1M }
phase: Running
`;

const RUNNING_STATUS = `
{{ $now := Now }}
conditions:
- { type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }} }
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state: { running: { startedAt: {{ $now | Quote }} } }
{{ end }}
phase: Running
startTime: {{ $now | Quote }}
`;

// The result of one backup of a thousand files, for the Backup and the Job that the pod's labels name.
const ENDED_STATUS = `
{{ $now := Now }}
{{ $uid := index .metadata.labels ${JSON.stringify(LABEL_BACKUP_UID)} }}
{{ $done := dict "snapshotId" (sha256sum $uid) "complete" true "files" 1000 "directories" 10 "filesUnchanged" 990 "bytesProcessed" 1048576 "bytesAdded" 4096 }}
{{ $result := dict "version" ${MOVER_CONTRACT_VERSION} "task" "backup" "attempt" (index .metadata.labels "job-name") "uid" $uid "outcome" "succeeded" "startedAt" $now "finishedAt" $now "backup" $done "warnings" list "warningCount" 0 }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
      message: {{ $result | toJson | quote }}
{{ end }}
phase: Succeeded
`;

/** The configuration file of kwok. */
export function kwokConfiguration({ leastMs, spreadMs }: MoverTime): string {
  const inPhase = (phase: string) => [{ key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' }, { key: '.status.phase', operator: 'In', values: [phase] }];
  const delay = { durationMilliseconds: leastMs, jitterDurationMilliseconds: leastMs + spreadMs };
  const documents = [
    { apiVersion: 'config.kwok.x-k8s.io/v1alpha1', kind: 'KwokConfiguration', options: { podPlayStageParallelism: 16, nodePlayStageParallelism: 8 } },
    stage('node-ready', 'Node', [{ key: '.status.phase', operator: 'NotIn', values: ['Running'] }], { next: { statusTemplate: NODE_STATUS } }),
    stage('pod-run', 'Pod', inPhase('Pending'), { next: { statusTemplate: RUNNING_STATUS } }),
    stage('pod-end', 'Pod', inPhase('Running'), { next: { statusTemplate: ENDED_STATUS }, delay }),
    stage('pod-delete', 'Pod', [{ key: '.metadata.deletionTimestamp', operator: 'Exists' }], { next: { delete: true } }),
  ];
  return documents.map((document) => JSON.stringify(document)).join('\n---\n');
}

function stage(name: string, kind: 'Node' | 'Pod', matchExpressions: readonly object[], play: object) {
  const spec = { resourceRef: { apiGroup: 'v1', kind }, selector: { matchExpressions }, ...play };
  return { apiVersion: 'kwok.x-k8s.io/v1alpha1', kind: 'Stage', metadata: { name }, spec };
}
