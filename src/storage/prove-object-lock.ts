import type { LockProof, LockProofRequest } from './s3/lock-proof.ts';

/** As `s3/lock-proof.ts` says; the S3 client is loaded only where it is needed. */
export async function proveObjectLock(request: LockProofRequest): Promise<LockProof> {
  const { proveObjectLock: prove } = await import('./s3/lock-proof.ts');
  return prove(request);
}
