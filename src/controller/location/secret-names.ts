import type { BackupLocationSpec, KmsSettings } from '../../api/index.ts';

/** Names of the Secrets that a location uses, in a stable order. */
export function secretNames(spec: BackupLocationSpec): readonly string[] {
  const { s3, kms, replica, pull } = spec;
  const named = [s3.credentialsSecretRef, replica?.s3?.credentialsSecretRef, replica?.probeCredentialsSecretRef, replica?.collectorCredentialsSecretRef];
  const pulled = [pull?.from.credentialsSecretRef, pull?.probeCredentialsSecretRef, pull?.collectorCredentialsSecretRef];
  const ofBuckets = [...named, ...pulled].flatMap((reference) => reference?.name ?? []);
  return [...new Set([...ofBuckets, ...ofKms(kms), ...(replica ? ofKms(replica.kms) : [])])];
}

function ofKms(kms: KmsSettings): string[] {
  const references = [kms.aws?.credentialsSecretRef, kms.aws?.moverCredentialsSecretRef, kms.local?.secretRef];
  return references.flatMap((reference) => (reference === undefined ? [] : [reference.name]));
}
