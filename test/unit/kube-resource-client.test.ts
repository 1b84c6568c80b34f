import { describe, expect, it } from '@jest/globals';
import { cacheIndexes } from '../../src/controller/caches.ts';
import { sweepFamily, type SweepContext } from '../../src/controller/copy/index.ts';
import type { RawClaim } from '../../src/controller/raw-objects.ts';
import { copyName, familyOfUid } from '../../src/decide/index.ts';
import { ResourceClient, resourceTypes } from '../../src/kube/index.ts';
import { FakeCluster } from '../support/fake-cluster.ts';

const NS = 'movers';
const CLAIM = copyName({ metadata: { uid: 'gone' } }, 0);

function clusterWith(finalizers: readonly string[]): FakeCluster {
  const cluster = new FakeCluster(0);
  cluster.put('persistentvolumeclaims', NS, { metadata: { name: CLAIM, labels: { 'app.kubernetes.io/component': 'copy' }, finalizers: [...finalizers] }, spec: {}, status: { phase: 'Pending' } });
  return cluster;
}

describe('a deletion', () => {
  const remove = (cluster: FakeCluster) => new ResourceClient(cluster, resourceTypes.persistentVolumeClaims).delete(CLAIM, NS);

  it('answers with what a finalizer keeps, and with nothing for what is gone', async () => {
    const kept = clusterWith(['kubernetes.io/pvc-protection']);
    expect((await remove(kept))?.metadata).toMatchObject({ name: CLAIM, deletionTimestamp: '1970-01-01T00:00:00.000Z' });
    const free = clusterWith([]);
    expect(await remove(free)).toBeUndefined();
    expect(await remove(free)).toBeUndefined();
  });

  it('of a copy is asked for once, though the watch does not tell of it yet', async () => {
    const cluster = clusterWith(['kubernetes.io/pvc-protection']);
    const frozen = cluster.cache<RawClaim>('persistentvolumeclaims', cacheIndexes.claims).list();
    const claims = {
      get: () => undefined,
      list: () => frozen,
      byIndex: (index: string, value: string) => frozen.filter((claim) => cacheIndexes.claims[index as 'family'](claim).includes(value)),
      remember: (claim: RawClaim) => void frozen.splice(0, 1, claim),
      absent: false,
    };
    const kinds = { backups: 'backups', jobs: 'jobs', volumes: 'persistentvolumes', snapshots: 'volumesnapshots', snapshotContents: 'volumesnapshotcontents', groups: 'volumegroupsnapshots', groupContents: 'volumegroupsnapshotcontents', moverSecrets: 'secrets' };
    const others = Object.fromEntries(Object.entries(kinds).map(([name, collection]) => [name, cluster.cache(collection)]));
    const context = { connection: cluster, caches: { ...others, claims }, moverNamespace: NS } as unknown as SweepContext;
    for (let look = 0; look < 3; look++) await sweepFamily(context, familyOfUid('gone'), new AbortController().signal);
    expect(cluster.requests.filter((request) => request.startsWith('DELETE')).length).toBe(1);
  });
});
