// What the API server must refuse, row by row: where the object is spoiled, with what, and the words that name it.
import type { KindName } from './valid-objects.ts';

export interface Refusal {
  readonly kind: KindName;
  readonly path: string;
  readonly value: unknown;
  /** Every one of these is in the answer. */
  readonly says: readonly string[];
}

function row(kind: KindName, path: string, value: unknown, ...says: string[]): Refusal {
  return { kind, path, value, says: says.length === 0 ? [path] : says };
}

export const UNKNOWN_FIELDS: readonly Refusal[] = [
  row('BackupLocation', 'spec.s3.buckets', 'x', 'unknown field "spec.s3.buckets"'),
  row('BackupTenant', 'spec.owner', 'x', 'unknown field "spec.owner"'),
  row('BackupPolicy', 'spec.quota.max', 3, 'unknown field "spec.quota.max"'),
  row('Backup', 'spec.polcy', 'x', 'unknown field "spec.polcy"'),
  row('Restore', 'spec.source.bakup', 'x', 'unknown field "spec.source.bakup"'),
];

export const WRONG_TYPES: readonly Refusal[] = [
  row('BackupLocation', 'spec.limits.movers', 'ten'),
  row('BackupTenant', 'spec.namespace', 7),
  row('BackupPolicy', 'spec.volumes', 'data'),
  row('Backup', 'spec.hold', 'yes'),
  row('Restore', 'spec.includes', { a: 'b' }),
];

export const MISSING_FIELDS: readonly Refusal[] = [
  row('BackupLocation', 'spec.s3.bucket', undefined),
  row('BackupLocation', 'spec.kms', undefined),
  row('BackupTenant', 'spec.tenantId', undefined),
  row('BackupPolicy', 'spec.location', undefined),
  row('Backup', 'spec.policy', undefined),
  row('Backup', 'spec', undefined),
  row('Restore', 'spec.source.backup', undefined, 'spec.source', 'give either a backup or a policy'),
];

export const IMPOSSIBLE_VALUES: readonly Refusal[] = [
  row('BackupLocation', 'spec.s3.endpoint', 's3.example.com'),
  row('BackupLocation', 'spec.s3.endpoint', 'https://s3.example.com/with/a/path'),
  row('BackupLocation', 'spec.s3.bucket', 'Not_A_Bucket'),
  row('BackupLocation', 'spec.s3.prefix', '/slashes/'),
  row('BackupLocation', 'spec.s3.caBundle', 'not a certificate', 'spec.s3.caBundle', 'must be PEM'),
  row('BackupLocation', 'spec.s3.sts', { mode: 'Perhaps' }, 'spec.s3.sts.mode', 'Required'),
  row('BackupLocation', 'spec.s3.sts', { sessionDuration: '5m' }, 'spec.s3.sts.sessionDuration', 'between 15m and 12h'),
  row('BackupLocation', 'spec.s3.sts', { sessionDuration: '1d' }, 'spec.s3.sts.sessionDuration', 'between 15m and 12h'),
  row('BackupLocation', 'spec.kms.provider', 'vault'),
  row('BackupLocation', 'spec.kms.provider', 'local', 'spec.kms', 'exactly the settings of the chosen provider'),
  row('BackupLocation', 'spec.kms.local', { secretRef: { name: 'x' } }, 'spec.kms', 'exactly the settings of the chosen provider'),
  row('BackupLocation', 'spec.replica', { kms: { provider: 'aws' } }, 'spec.replica.kms', 'exactly the settings of the chosen provider'),
  row('BackupLocation', 'spec.kms.aws.credentialsSecretRef.name', 'other-namespace/secret'),
  row('BackupLocation', 'spec.limits', { movers: 0 }, 'spec.limits.movers'),
  row('BackupLocation', 'spec.mover', { resources: { limits: { memory: '1 GiB' } } }, 'spec.mover.resources.limits', 'must be a quantity'),
  row('BackupLocation', 'spec.mover', { resources: { limits: { memory: '-1Gi' } } }, 'spec.mover.resources.limits', 'must be a quantity'),
  row('BackupLocation', 'spec.mover', { resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } }, 'spec.mover.resources', 'must not be above its limit'),
  row('BackupLocation', 'spec.mover', { imagePullPolicy: 'Sometimes' }, 'spec.mover.imagePullPolicy'),
  row('BackupLocation', 'spec.mover', { nodeSelector: { 'a b': 'c' } }, 'spec.mover.nodeSelector', 'every key must be a name'),
  row('BackupLocation', 'spec.mover', { tolerations: [{ key: 'a b', operator: 'Exists' }] }, 'spec.mover.tolerations[0].key'),
  row('BackupLocation', 'spec.mover', { tolerations: [{ effect: 'NoSchedule' }] }, 'spec.mover.tolerations[0]', 'without a key the operator must be Exists'),
  row('BackupLocation', 'spec.mover', { tolerations: [{ key: 'a', operator: 'Exists', value: 'b' }] }, 'spec.mover.tolerations[0]', 'with operator: Exists leave value out'),
  row('BackupLocation', 'spec.mover', { tolerations: [{ key: 'a', tolerationSeconds: 3 }] }, 'spec.mover.tolerations[0]', 'tolerationSeconds goes with effect: NoExecute'),
  row('BackupLocation', 'spec.mover', { imagePullSecrets: [{ name: 'No Name' }] }, 'spec.mover.imagePullSecrets[0].name'),
  row('BackupTenant', 'spec.tenantId', 'customer-1'),
  row('BackupPolicy', 'spec.location', 'Not A Name'),
  row('BackupPolicy', 'spec.volumes', []),
  row('BackupPolicy', 'spec.volumes', ['data', 'data'], 'spec.volumes', 'Duplicate'),
  row('BackupPolicy', 'spec.quota', { maxBackups: 0 }, 'spec.quota.maxBackups'),
  row('BackupPolicy', 'spec.quota', { maxBackups: 101 }, 'spec.quota.maxBackups'),
  row('BackupPolicy', 'spec.copyMethod', 'Magic'),
  row('BackupPolicy', 'spec.maxAge', 'fortnight'),
  ...['every night', '60 2 * * *', '0 24 * * *', '0 2 * *', '0 0 2 * * *', '*/0 * * * *', '@reboot'].map((schedule) => row('BackupPolicy', 'spec.automatic', { schedule }, 'spec.automatic.schedule')),
  ...['Europe/Nowhere', 'Local', '+02:00', ''].map((timeZone) => row('BackupPolicy', 'spec.automatic', { schedule: '0 2 * * *', timeZone }, 'spec.automatic.timeZone')),
  row('BackupPolicy', 'spec.automatic', { schedule: '0 2 * * *', keep: 0 }, 'spec.automatic.keep'),
  row('BackupPolicy', 'spec.automatic', { schedule: '0 2 * * *', jitter: '0s' }, 'spec.automatic.jitter', 'above zero'),
  row('BackupPolicy', 'spec.maxAge', '0d', 'spec.maxAge', 'above zero'),
  row('BackupPolicy', 'spec.mover', { labels: { queue: 'not a label' } }, 'spec.mover.labels'),
  row('BackupPolicy', 'spec.mover', { annotations: { 'two/slash/es': 'x' } }, 'spec.mover.annotations', 'every key must be a name'),
  row('Backup', 'spec.policy', '../daily'),
  row('Backup', 'spec.trigger', 'Nightly'),
  row('Backup', 'spec.ttl', '14 days'),
  row('Backup', 'spec.ttl', '0h0m', 'spec.ttl', 'above zero'),
  row('Backup', 'spec.note', 'x'.repeat(1025)),
  row('Restore', 'spec.target', { type: 'Elsewhere' }, 'spec.target.type'),
  row('Restore', 'spec.source', { backup: 'one', policy: 'daily', newest: true }, 'spec.source', 'give either a backup or a policy'),
  row('Restore', 'spec.source', { backup: 'one', newest: true }, 'spec.source', 'newest: true or asOf'),
  row('Restore', 'spec.source', { policy: 'daily' }, 'spec.source', 'newest: true or asOf'),
  row('Restore', 'spec.source', { policy: 'daily', newest: false }, 'spec.source', 'newest: true or asOf'),
  row('Restore', 'spec.source', { policy: 'daily', newest: true, asOf: '2030-01-01T00:00:00Z' }, 'spec.source', 'newest: true or asOf'),
  row('Restore', 'spec.source', { policy: 'daily', asOf: 'yesterday' }, 'spec.source.asOf', 'date-time'),
  row('Restore', 'spec.target', { type: 'InPlace', newVolume: {} }, 'spec.target', 'newVolume goes with type: NewVolume'),
  row('Restore', 'spec.target', { type: 'NewVolume', newVolume: { name: '{volume}' } }, 'spec.target.newVolume.name'),
  row('Restore', 'spec.target', { type: 'NewVolume', newVolume: { size: 'large' } }, 'spec.target.newVolume.size', 'must be a quantity'),
  row('Restore', 'spec.target', { type: 'NewVolume', newVolume: { size: '0' } }, 'spec.target.newVolume.size', 'must be a quantity'),
  row('Restore', 'spec.target', { type: 'NewVolume', newVolume: { accessModes: ['ReadOnlyMany'] } }, 'spec.target.newVolume.accessModes'),
  row('Restore', 'spec.volumes', []),
  row('Restore', 'spec.extraFiles', 'Maybe'),
  row('Restore', 'spec.safetyBackup', 'Never'),
  row('Restore', 'spec.includes', [''], 'spec.includes[0]'),
];

/** Changes of objects that exist. */
export const IMMUTABLE_FIELDS: readonly Refusal[] = [
  row('BackupLocation', 'spec.s3.bucket', 'another-bucket', 'spec.s3.bucket and spec.s3.prefix cannot be changed'),
  row('BackupLocation', 'spec.s3.prefix', 'another', 'spec.s3.bucket and spec.s3.prefix cannot be changed'),
  row('BackupLocation', 'spec.s3.prefix', null, 'spec.s3.bucket and spec.s3.prefix cannot be changed'),
  row('BackupTenant', 'spec.tenantId', 'cd'.repeat(16), 'of a BackupTenant cannot be changed'),
  row('BackupTenant', 'spec.namespace', 'other', 'of a BackupTenant cannot be changed'),
  row('BackupPolicy', 'spec.location', 'other', 'spec.location cannot be changed'),
  row('Backup', 'spec.policy', 'other', 'spec.policy cannot be changed'),
  row('Backup', 'spec.trigger', 'Safety', 'spec.trigger cannot be changed'),
  row('Restore', 'spec.source.backup', 'other', 'spec.source cannot be changed'),
  row('Restore', 'spec.target', { type: 'NewVolume' }, 'spec.target cannot be changed'),
  row('Restore', 'spec.volumes', ['data'], 'spec.volumes cannot be changed'),
];
