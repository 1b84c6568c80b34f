import { describe, expect, it } from '@jest/globals';
import { ANNOTATION_SCHEDULED_AT, type Backup, type BackupPolicy } from '../../src/api/index.ts';
import { applyRun } from '../../src/controller/policy/automatic-backups.ts';
import type { Run } from '../../src/decide/schedule.ts';
import { ResourceClient, resourceTypes, type EventInput } from '../../src/kube/index.ts';
import { FakeCluster } from '../support/fake-cluster.ts';

const NS = 'shop';
const AT = '2030-01-01T02:00:00Z';
const RUN: Run = { slot: Date.parse(AT), name: 'daily-203001010200', secondName: 'daily-203001010200-abcdef' };
const policy = { metadata: { name: 'daily', namespace: NS, uid: 'p' } } as unknown as BackupPolicy;

function world() {
  const cluster = new FakeCluster(Date.parse(AT));
  const told: EventInput[] = [];
  const backups = new ResourceClient<Backup>(cluster, resourceTypes.backups);
  const caches = { backups: cluster.cache<Backup>('backups') };
  const restores = { delete: () => Promise.resolve(undefined) };
  const run = () => applyRun({ backups, restores, caches, events: { record: (_policy, event) => void told.push(event) } }, policy, RUN, new AbortController().signal);
  const put = (name: string, spec: object, annotations: object = {}) => cluster.put('backups', NS, { metadata: { name, annotations }, spec: { policy: 'daily', ...spec } });
  return { run, put, told, cluster, names: () => cluster.all('backups').map(({ metadata }) => metadata.name) };
}

describe('the Backup of a scheduled time', () => {
  it('is made once, however often it is asked for', async () => {
    const { run, names, told } = world();
    await run();
    await run();
    expect(names()).toEqual([RUN.name]);
    expect(told).toEqual([expect.objectContaining({ reason: 'BackupCreated' })]);
  });

  it.each([
    ['a person', { trigger: 'Manual' }, { [ANNOTATION_SCHEDULED_AT]: AT }],
    ['another policy', { policy: 'other', trigger: 'Automatic' }, { [ANNOTATION_SCHEDULED_AT]: AT }],
    ['a recovery', { trigger: 'Automatic' }, {}],
  ])('is made, once, under another name where %s has its own', async (_, spec, annotations) => {
    const { run, put, names, told } = world();
    put(RUN.name, spec, annotations);
    await run();
    await run();
    expect(names()).toEqual([RUN.name, RUN.secondName]);
    expect(told).toEqual([expect.objectContaining({ type: 'Normal', reason: 'BackupCreated', message: expect.stringContaining(`somebody else made Backup ${RUN.name}`) })]);
  });

  it('is missing, and that is said, where somebody took both names', async () => {
    const { run, put, told } = world();
    put(RUN.name, { trigger: 'Manual' });
    put(RUN.secondName, { trigger: 'Manual' });
    await run();
    expect(told).toEqual([expect.objectContaining({ type: 'Warning', reason: 'BackupNameTaken' })]);
  });

  it('is asked for again where its name is free by the time that its bearer is looked at', async () => {
    const { run, put, cluster, names } = world();
    put(RUN.name, { trigger: 'Manual' });
    const request = cluster.request.bind(cluster);
    cluster.request = (method, ...rest) => {
      if (method === 'GET') cluster.remove('backups', NS, RUN.name);
      return request(method, ...rest) as never;
    };
    await expect(run()).rejects.toMatchObject({ code: 'AlreadyExists' });
    cluster.request = request;
    await run();
    expect(names()).toEqual([RUN.name]);
  });
});
