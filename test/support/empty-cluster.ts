// A recovery as a whole: an empty cluster that is given a bucket, and a restore of what came back.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { API_VERSION, type Backup, type Restore } from '../../src/api/index.ts';
import { findCondition } from '../../src/decide/index.ts';
import { resourceTypes } from '../../src/kube/index.ts';
import { PlayedCluster } from './played-cluster.ts';

export interface Recovered {
  /** The restore's condition `Succeeded`. */
  readonly succeeded: { readonly status: string } | undefined;
  /** What `file` of the claim holds then; undefined where it is not there. */
  readonly bytes: Buffer | undefined;
  readonly failures: readonly unknown[];
}

/**
 * Recovers Backup `shop/one` from a location and restores it into a new claim.
 * @param folder - the cluster's own
 * @param spec - of the BackupLocation, beside `recover: true`
 */
export async function recoverOnEmptyCluster(folder: string, secrets: Parameters<typeof PlayedCluster.start>[1], spec: object, file: string): Promise<Recovered> {
  const cluster = await PlayedCluster.start(folder, secrets);
  try {
    await cluster.client(resourceTypes.backupLocations).create({ apiVersion: API_VERSION, kind: 'BackupLocation', metadata: { name: 'second' }, spec: { recover: true, ...spec } });
    await untilStored(cluster);
    await cluster.claim('shop', 'data');
    await cluster.client(resourceTypes.restores).create({ apiVersion: API_VERSION, kind: 'Restore', metadata: { name: 'back', namespace: 'shop' }, spec: { source: { backup: 'one' }, safetyBackup: 'Skip' } });
    const restored = await cluster.until('the restore', async () => ((is) => (is?.status?.phase === 'Succeeded' || is?.status?.phase === 'Failed' ? is : undefined))(await cluster.client<Restore>(resourceTypes.restores).get('back', 'shop')));
    return { succeeded: findCondition(restored.status?.conditions, 'Succeeded'), bytes: await readFile(join(cluster.volumeOf('shop'), file)).catch(() => undefined), failures: cluster.failures };
  } finally {
    await cluster.stop();
  }
}

/** Backup `shop/one`. */
export function untilStored(cluster: PlayedCluster): Promise<Backup> {
  return cluster.until('the backup', async () => ((is) => (is?.status?.phase === 'Stored' ? is : undefined))(await cluster.client<Backup>(resourceTypes.backups).get('one', 'shop')));
}
