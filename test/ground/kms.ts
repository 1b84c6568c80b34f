// A KMS API: one moto server process with one key. It honours encryption contexts; its IAM knows no conditions, so it
// proves nothing about who may use a key.
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { cached } from './cache.ts';
import { run, until } from './run.ts';

export const MOTO_VERSION = '5.2.5';
export const KMS_REGION = 'eu-central-1';
/** moto accepts any credentials; these say what they are. */
export const KMS_CREDENTIALS = { accessKeyId: 'local-kms', secretAccessKey: 'not-checked-by-this-kms' } as const;

/** The path of `moto_server`, in a Python environment of our own in the cache. */
export async function motoServer(): Promise<string> {
  const folder = await cached(
    `moto-${MOTO_VERSION}`,
    async (place) => {
      console.error('installing the KMS server (moto) into the cache');
      await run('python3', ['-m', 'venv', place]);
      await run(join(place, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', `moto[server]==${MOTO_VERSION}`]);
    },
    false, // A Python environment holds its own path.
  );
  return join(folder, 'bin', 'moto_server');
}

/** Waits until the service answers and makes its key. Keys live in the process's memory: a restart has none. */
export async function createKmsKey(endpoint: string, description: string): Promise<string> {
  await until(`the KMS at ${endpoint}`, 30, async () => (await fetch(`${endpoint}/moto-api/`)).status < 500);
  const client = new KMSClient({ endpoint, region: KMS_REGION, credentials: { ...KMS_CREDENTIALS } });
  try {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ Description: description }));
    if (!KeyMetadata?.KeyId) throw new Error(`the KMS at ${endpoint} made a key without an id`);
    return KeyMetadata.KeyId;
  } finally {
    client.destroy();
  }
}
