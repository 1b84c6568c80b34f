import { BackupLocationSpec, type BackupLocation } from '../../src/api/index.ts';
import type { S3Service } from './services.ts';

/** A location over a bucket's prefix `dc`, as the API server would hand it out. */
export function bucketLocation({ endpoint, region, bucket }: S3Service): BackupLocation {
  const spec = BackupLocationSpec.parse({
    s3: { endpoint, region, bucket, prefix: 'dc', credentialsSecretRef: { name: 's3' } },
    kms: { provider: 'local', local: { secretRef: { name: 'key' } } },
  });
  return { apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupLocation', metadata: { name: 'here', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '' }, spec };
}
