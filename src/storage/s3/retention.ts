import type { ObjectLockMode } from '@aws-sdk/client-s3';
import type { Retention } from '../object-store.ts';

/** The lock as S3's requests name it. */
export function retentionFields(retention: Retention): { ObjectLockMode: ObjectLockMode; ObjectLockRetainUntilDate: Date } {
  return { ObjectLockMode: retention.mode, ObjectLockRetainUntilDate: retention.until };
}
