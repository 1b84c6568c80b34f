import { describe, expect, it } from '@jest/globals';
import { EventRecorder, KubeError, type EventInput } from '../../src/kube/index.ts';
import { FakeCluster } from '../support/fake-cluster.ts';

const MINUTE = 60_000;
const subject = { apiVersion: 'backup.dupp.de/v1alpha1', kind: 'Backup', metadata: { name: 'first', namespace: 'n', uid: 'u' } };
const news: EventInput = { type: 'Warning', reason: 'VolumeMissing', message: 'gone', action: 'Backup' };

function recorder(cluster: FakeCluster, errors: unknown[] = []): EventRecorder {
  return new EventRecorder(cluster, 'pod-1', () => new Date(cluster.now), (error) => errors.push(error));
}

describe('EventRecorder', () => {
  it('writes what kubectl describe shows', async () => {
    const cluster = new FakeCluster(Date.parse('2026-03-01T10:00:00Z'));
    const events = recorder(cluster);
    events.record(subject, news);
    await events.flush();
    expect(cluster.all('events')).toEqual([
      expect.objectContaining({ reason: 'VolumeMissing', note: 'gone', type: 'Warning', regarding: expect.objectContaining({ kind: 'Backup', name: 'first', uid: 'u' }) }),
    ]);
    expect(cluster.all('events')[0]?.metadata.namespace).toBe('n');
  });

  it('writes those of cluster-wide objects to default', async () => {
    const cluster = new FakeCluster(0);
    const events = recorder(cluster);
    events.record({ ...subject, kind: 'BackupLocation', metadata: { name: 'here', uid: 'u' } }, news);
    await events.flush();
    expect(cluster.all('events')[0]?.metadata.namespace).toBe('default');
  });

  it('tells the same news once in ten minutes, and other news at once', async () => {
    const cluster = new FakeCluster(0);
    const events = recorder(cluster);
    events.record(subject, news);
    events.record(subject, news);
    events.record(subject, { ...news, message: 'other' });
    cluster.now = 10 * MINUTE;
    events.record(subject, news);
    await events.flush();
    expect(cluster.all('events')).toHaveLength(3);
  });

  it('cuts a message at what the API takes', async () => {
    const cluster = new FakeCluster(0);
    const events = recorder(cluster);
    events.record(subject, { ...news, message: 'x'.repeat(5000) });
    await events.flush();
    expect(cluster.all('events')[0]).toMatchObject({ note: 'x'.repeat(1024) });
  });

  it('counts in bytes, as the API server does, and cuts no character', async () => {
    const cluster = new FakeCluster(0);
    const events = recorder(cluster);
    events.record(subject, { ...news, message: `a${'ü'.repeat(900)}` });
    await events.flush();
    expect(cluster.all('events')[0]).toMatchObject({ note: `a${'ü'.repeat(511)}` });
  });

  it('never fails the work: says an error once aside, and is silent about a namespace that goes', async () => {
    const cluster = new FakeCluster(0);
    const errors: unknown[] = [];
    const events = recorder(cluster, errors);
    cluster.request = () => Promise.reject(new KubeError('Forbidden', 'namespace is being terminated'));
    events.record(subject, news);
    await events.flush();
    expect(errors).toEqual([]);
    cluster.request = () => Promise.reject(new KubeError('Unavailable', 'no answer'));
    events.record(subject, { ...news, message: 'other' });
    await events.flush();
    expect(errors).toHaveLength(1);
  });
});
