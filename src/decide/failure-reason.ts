/** A mover's failure as a condition: its reason, and what a person can do about it. */
export interface Failure {
  /** One CamelCase word for machines. */
  readonly reason: string;
  readonly message: string;
}

/** What to do next, where the mover's own message cannot know. The table in `docs/errors.md` has more. */
const ADVICE: Readonly<Record<string, string>> = {
  AccessDenied: 'Check the rights of the credentials that the BackupLocation names.',
  BadCredentials: 'Check the Secret that spec.s3.credentialsSecretRef of the BackupLocation names.',
  BucketMissing: 'Create the bucket that spec.s3.bucket of the BackupLocation names; the operator does not.',
  NoSpace: 'Make room there, or make the volume larger, then try again.',
  KeyDisabled: 'Enable the KMS key that spec.kms of the BackupLocation names.',
  WrongTenant: 'Nothing was read or written. Somebody moved objects between tenants of the bucket: find out who.',
  Damaged: 'Run `tenant-backup check` on the repository before anything else is written to it.',
};

/** A code is a CamelCase word already; whatever is not becomes `MoverFailed`, for a condition's reason must be one. */
export function failureOf(code: string, message: string): Failure {
  const reason = /^[A-Z][A-Za-z0-9]{0,127}$/.test(code) ? code : 'MoverFailed';
  const advice = ADVICE[reason];
  return { reason, message: advice === undefined ? message : `${message.replace(/[.\s]*$/, '')}. ${advice}` };
}
