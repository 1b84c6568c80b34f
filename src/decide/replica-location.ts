import type { BackupLocation } from '../api/index.ts';
import type { Failure } from './failure-reason.ts';

export type ReplicaView = { readonly ok: true; readonly location: BackupLocation } | ({ readonly ok: false } & Failure);

/**
 * The location as an installation that had lost the first data center would name it: the second bucket, its KMS, only read. What reads from it needs
 * nothing of the first one, which may be off, so whether that one is ready does not matter.
 */
export function replicaView(location: BackupLocation): ReplicaView {
  const { name } = location.metadata;
  const { replica, ...spec } = location.spec;
  if (replica?.s3 === undefined) {
    return { ok: false, reason: 'NoReplica', message: `BackupLocation ${name} names no second bucket (spec.replica.s3), so nothing can be restored from it. Leave spec.source.from out, or recover in the second data center.` };
  }
  const { kms, s3 } = replica;
  if (kms.provider === 'aws' && kms.aws?.moverCredentialsSecretRef === undefined) {
    return {
      ok: false,
      reason: 'ReplicaKeyClosed',
      message: `This installation may only encrypt with the second data center's key. Name a principal that may decrypt in spec.replica.kms.aws.moverCredentialsSecretRef of BackupLocation ${name} for as long as the restore needs it, or recover in the second data center.`,
    };
  }
  // Its principal puts copies and can confine nobody further.
  const sts = { mode: 'Disabled', sessionDuration: '1h' } as const;
  const ready = { type: 'Ready', status: 'True', reason: 'Usable', message: 'It is tried when it is read.', lastTransitionTime: location.metadata.creationTimestamp } as const;
  return { ok: true, location: { ...location, spec: { ...spec, s3: { ...s3, sts }, kms, recover: true }, status: { conditions: [ready] } } };
}
