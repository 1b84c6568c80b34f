// The two data centers outside the cluster: an S3 service and a KMS each. The second one's bucket has versioning and Object
// Lock, without a default retention: every object is put with its own. Each principal that a location may name has a user of its own.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { binary } from './binaries.ts';
import { startDaemon } from './daemons.ts';
import { CLUSTER, PORTS } from './layout.ts';
import { KMS_CREDENTIALS, KMS_REGION, createKmsKey, motoServer } from './kms.ts';
import type { Init } from './namespaces.ts';
import { S3_REGION, collectorUser, fullUser, generateCredentials, minioCommand, proberUser, readerUser, replicatorUser, setUpS3 } from './s3.ts';

type Letter = 'a' | 'b';

const dataCenters = {
  a: { bucket: 'tenant-backup-a', objectLock: false, user: fullUser, others: { READER: readerUser } },
  b: { bucket: 'tenant-backup-b', objectLock: true, user: replicatorUser, others: { PROBER: proberUser, COLLECTOR: collectorUser } },
} as const;

/** Starts both on an address that pods reach, and returns their lines of `.cluster/env`. */
export async function startDataCenters(init: Init, address: string): Promise<Record<string, string>> {
  const parts = await Promise.all([startS3(init, address, 'a'), startS3(init, address, 'b'), startKms(init, address, 'a'), startKms(init, address, 'b')]);
  return Object.assign({}, ...parts) as Record<string, string>;
}

async function startS3(init: Init, address: string, letter: Letter): Promise<Record<string, string>> {
  const { bucket, objectLock, user: userOf, others: othersOf } = dataCenters[letter];
  const folder = join(CLUSTER, `s3-${letter}`);
  await mkdir(folder, { recursive: true });
  const [root, user, port] = [generateCredentials(), userOf(bucket), PORTS.s3[letter]];
  const others = Object.entries(othersOf).map(([name, of]) => ({ name, user: of(bucket) }));
  const command = minioCommand({ address: `${address}:${port}`, console: `127.0.0.1:${port + 1}`, folder, root });
  await startDaemon(init, `s3-${letter}`, { command: [await binary('minio'), ...command.args], env: command.env });
  const endpoint = `http://${address}:${port}`;
  await setUpS3({ endpoint, root, bucket, objectLock, users: [user, ...others.map((other) => other.user)] });
  return prefixed(`S3_${letter.toUpperCase()}_`, {
    ENDPOINT: endpoint,
    REGION: S3_REGION,
    BUCKET: bucket,
    ACCESS_KEY_ID: user.accessKeyId,
    SECRET_ACCESS_KEY: user.secretAccessKey,
    ...Object.fromEntries(others.flatMap(({ name, user: { accessKeyId, secretAccessKey } }) => [[`${name}_ACCESS_KEY_ID`, accessKeyId], [`${name}_SECRET_ACCESS_KEY`, secretAccessKey]])),
    ROOT_ACCESS_KEY_ID: root.accessKeyId,
    ROOT_SECRET_ACCESS_KEY: root.secretAccessKey,
  });
}

async function startKms(init: Init, address: string, letter: Letter): Promise<Record<string, string>> {
  const port = PORTS.kms[letter];
  await startDaemon(init, `kms-${letter}`, { command: [await motoServer(), '-H', address, '-p', String(port)], env: {} });
  const endpoint = `http://${address}:${port}`;
  return prefixed(`KMS_${letter.toUpperCase()}_`, {
    ENDPOINT: endpoint,
    REGION: KMS_REGION,
    KEY_ID: await createKmsKey(endpoint, `data center ${letter}`),
    ACCESS_KEY_ID: KMS_CREDENTIALS.accessKeyId,
    SECRET_ACCESS_KEY: KMS_CREDENTIALS.secretAccessKey,
  });
}

function prefixed(prefix: string, values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [prefix + key, value]));
}
