// Opens the repository as a customer could who holds the secret key: with Debian's restic, on the objects as they lie in
// S3. The key comes from the KMS and goes to restic through a pipe; it is never on disk, in an argument or in the environment.
import { openAwsKms, unwrapGenerationKey } from '../../../src/keys/index.ts';
import { openStore } from '../../../src/storage/index.ts';
import { run } from '../../ground/run.ts';

export interface ResticTarget {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Runs one restic command on the repository and returns what it printed. */
export function restic(target: ResticTarget, key: Uint8Array, args: readonly string[]): Promise<string> {
  // The shell's `|` is a real pipe; what Node gives a child is a socket, which restic could not open by name.
  const script = 'cat | restic --no-cache --password-file /dev/stdin "$@"';
  return run('sh', ['-c', script, 'restic', '-r', `s3:${target.endpoint}/${target.bucket}/${target.prefix}`, ...args], {
    input: key,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      AWS_ACCESS_KEY_ID: target.accessKeyId,
      AWS_SECRET_ACCESS_KEY: target.secretAccessKey,
      AWS_DEFAULT_REGION: target.region,
    },
  });
}

/**
 * Unwraps the tenant's secret key as a key release would, and lets restic check everything and count the snapshots.
 * @returns what there is to tell
 */
export async function openedByRestic(env: Readonly<Record<string, string>>, prefix: string, tenantId: string): Promise<string[]> {
  const at = (name: string): string => {
    const value = env[name];
    if (value === undefined) throw new Error(`the cluster's environment lacks ${name}`);
    return value;
  };
  const target: ResticTarget = {
    endpoint: at('S3_A_ENDPOINT'),
    region: at('S3_A_REGION'),
    bucket: at('S3_A_BUCKET'),
    prefix: `${prefix}/tenants/${tenantId}/g1`,
    accessKeyId: at('S3_A_ACCESS_KEY_ID'),
    secretAccessKey: at('S3_A_SECRET_ACCESS_KEY'),
  };
  const kms = openAwsKms({
    keyId: at('KMS_A_KEY_ID'),
    endpoint: at('KMS_A_ENDPOINT'),
    region: at('KMS_A_REGION'),
    credentials: { accessKeyId: at('KMS_A_ACCESS_KEY_ID'), secretAccessKey: at('KMS_A_SECRET_ACCESS_KEY') },
  });
  const store = await openStore(`s3://${target.bucket}/${target.prefix}?endpoint=${encodeURIComponent(target.endpoint)}&region=${target.region}`, { s3: { credentials: target } });
  const key = await unwrapGenerationKey(store, tenantId, 1, [kms]);
  try {
    const checked = await restic(target, key, ['check', '--read-data']);
    if (!checked.includes('no errors were found')) throw new Error(`restic is not content: ${checked.trim()}`);
    const snapshots = JSON.parse(await restic(target, key, ['snapshots', '--json'])) as unknown[];
    return [`${await run('restic', ['version']).then((version) => version.trim())}: no errors were found, every byte read`, `it lists ${snapshots.length} snapshots: seven backups and the state before the restore`];
  } finally {
    key.fill(0);
    kms.close();
    await store.close();
  }
}
