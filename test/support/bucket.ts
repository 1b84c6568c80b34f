// The first data center's bucket as a test sees it: a tenant's objects, and the secret key as a key release would unwrap it.
import { openAwsKms, unwrapGenerationKey } from '../../src/keys/index.ts';
import { openStore, type ObjectStore, type S3Credentials } from '../../src/storage/index.ts';
import { environment, listObjects } from './cluster.ts';

interface TenantLike {
  readonly spec: { readonly namespace: string; readonly tenantId: string };
  readonly status?: { readonly phase?: string };
}

/** The id of the tenant whose namespace exists now. */
export async function tenantIdOf(namespace: string): Promise<string> {
  const tenants = await listObjects<TenantLike>('backuptenants.backup.dupp.de');
  const found = tenants.find(({ spec, status }) => spec.namespace === namespace && status?.phase !== 'NamespaceGone');
  if (found === undefined) throw new Error(`namespace ${namespace} has no tenant`);
  return found.spec.tenantId;
}

/** The bucket below `prefix`, with the ground's credentials or the given ones. */
export async function openBucket(prefix: string, credentials?: S3Credentials): Promise<ObjectStore> {
  const env = environment();
  const url = `s3://${env['S3_A_BUCKET'] ?? ''}/${prefix}?endpoint=${encodeURIComponent(env['S3_A_ENDPOINT'] ?? '')}&region=${env['S3_A_REGION'] ?? ''}`;
  return openStore(url, {
    s3: { credentials: credentials ?? { accessKeyId: env['S3_A_ACCESS_KEY_ID'] ?? '', secretAccessKey: env['S3_A_SECRET_ACCESS_KEY'] ?? '' } },
  });
}

/** Keys below `prefix`. */
export async function keysBelow(prefix: string, credentials?: S3Credentials): Promise<string[]> {
  const store = await openBucket(prefix, credentials);
  try {
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    return keys;
  } finally {
    await store.close();
  }
}

/** The written form of a tenant's secret key, unwrapped by the KMS. The caller wipes it. */
export async function secretKeyOf(prefix: string, tenantId: string): Promise<Uint8Array> {
  const env = environment();
  const kms = openAwsKms({
    keyId: env['KMS_A_KEY_ID'] ?? '',
    endpoint: env['KMS_A_ENDPOINT'] ?? '',
    region: env['KMS_A_REGION'] ?? '',
    credentials: { accessKeyId: env['KMS_A_ACCESS_KEY_ID'] ?? '', secretAccessKey: env['KMS_A_SECRET_ACCESS_KEY'] ?? '' },
  });
  const store = await openBucket(`${prefix}/tenants/${tenantId}/g1`);
  try {
    return await unwrapGenerationKey(store, tenantId, 1, [kms]);
  } finally {
    kms.close();
    await store.close();
  }
}
