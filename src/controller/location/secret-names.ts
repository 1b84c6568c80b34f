import type { BackupLocationSpec, KmsSettings } from '../../api/index.ts';

/** Names of the Secrets that a location uses, in a stable order. */
export function secretNames(spec: BackupLocationSpec): readonly string[] {
  return [...new Set([spec.s3.credentialsSecretRef.name, ...ofKms(spec.kms), ...(spec.replica ? ofKms(spec.replica.kms) : [])])];
}

function ofKms(kms: KmsSettings): string[] {
  const references = [kms.aws?.credentialsSecretRef, kms.aws?.moverCredentialsSecretRef, kms.local?.secretRef];
  return references.flatMap((reference) => (reference === undefined ? [] : [reference.name]));
}
