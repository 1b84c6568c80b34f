import { describe, expect, it } from '@jest/globals';
import { ScaleClient } from '../../src/kube/index.ts';
import { FakeCluster } from '../support/fake-cluster.ts';

const web = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web' };

function withWorkload(): FakeCluster {
  const cluster = new FakeCluster(0);
  cluster.put('statefulsets', 'n', { metadata: { name: 'web', namespace: 'n', uid: 'u', resourceVersion: '1' }, spec: { replicas: 3 } });
  return cluster;
}

describe('ScaleClient', () => {
  it('reads and sets replicas, and asks once what the kind is called', async () => {
    const cluster = withWorkload();
    const scales = new ScaleClient(cluster);
    const scale = await scales.get(web, 'n');
    expect(scale?.spec?.replicas).toBe(3);
    await scales.set(web, scale ?? { metadata: { name: 'web', uid: 'u', resourceVersion: '1' } }, 0);
    expect(cluster.find('statefulsets', 'n', 'web')?.spec).toMatchObject({ replicas: 0 });
    expect(cluster.requests.filter((request) => request === 'GET /apis/apps/v1')).toHaveLength(1);
  });

  it('says that a workload is not there without failing', async () => {
    expect(await new ScaleClient(new FakeCluster(0)).get(web, 'n')).toBeUndefined();
  });

  it('does not scale what changed, or another of the name, since it was read', async () => {
    const cluster = withWorkload();
    const scales = new ScaleClient(cluster);
    const scale = await scales.get(web, 'n');
    if (scale === undefined) throw new Error('no scale');
    cluster.change('statefulsets', 'n', 'web', { spec: { replicas: 5 } });
    await expect(scales.set(web, scale, 0)).rejects.toMatchObject({ code: 'Conflict', retryable: true });
    const fresh = await scales.get(web, 'n');
    const twin = { ...scale, metadata: { ...scale.metadata, resourceVersion: fresh?.metadata.resourceVersion ?? '', uid: 'another' } };
    await expect(scales.set(web, twin, 0)).rejects.toMatchObject({ code: 'Conflict' });
    expect(cluster.find('statefulsets', 'n', 'web')?.spec).toMatchObject({ replicas: 5 });
  });

  it.each([
    ['Deploymint', /knows no Deploymint in apps\/v1/],
    ['Scale', /knows no Scale/],
  ])('refuses the kind %s', async (kind, words) => {
    await expect(new ScaleClient(withWorkload()).get({ ...web, kind }, 'n')).rejects.toMatchObject({ code: 'Invalid', message: expect.stringMatching(words) });
  });
});
