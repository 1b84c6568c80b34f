import { describe, expect, it } from '@jest/globals';
import { NS, MoverWorld, ended, failed } from '../support/mover-world.ts';
import { displayBytes, displayDuration, displayList, displayOrdinal } from '../../src/decide/display.ts';
import { mergeConditions } from '../../src/decide/conditions.ts';
import { attemptName, labelValue, safetyBackupName } from '../../src/decide/child-names.ts';
import { moverJob } from '../../src/decide/mover-job.ts';
import { renewalTime } from '../../src/decide/renewal.ts';
import { placement } from '../../src/decide/volumes.ts';
import type { ClaimFact, JobFact } from '../../src/decide/observed.ts';

const MINUTE = 60_000;

function reasonOf(world: MoverWorld) {
  return world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Stored');
}

/** Ways in which a backup cannot begin. */
const OBSTACLES: readonly [string, string, RegExp, (world: MoverWorld) => void][] = [
  ['the policy is missing', 'PolicyMissing', /BackupPolicy daily does not exist/, ({ cluster }) => cluster.remove('backuppolicies', NS, 'daily')],
  [
    'the location is missing',
    'LocationMissing',
    /BackupLocation here does not exist/,
    ({ cluster }) => cluster.remove('backuplocations', undefined, 'here'),
  ],
  [
    'the location is not ready',
    'LocationNotReady',
    /BackupLocation here is not ready: BadCredentials: no such key/,
    ({ cluster }) =>
      cluster.change('backuplocations', undefined, 'here', {
        status: { conditions: [{ type: 'Ready', status: 'False', reason: 'BadCredentials', message: 'no such key' }] },
      }),
  ],
  ['the tenant is not made yet', 'TenantMissing', /not made yet/, ({ cluster }) => cluster.remove('backuptenants', undefined, 'shop-tenant')],
  [
    'the policy names another location than the tenant has',
    'LocationDiffers',
    /keeps its backups in BackupLocation there/,
    ({ cluster }) => cluster.change('backuptenants', undefined, 'shop-tenant', { spec: { location: 'there' } }),
  ],
  ['the namespace has no volumes', 'NoVolumes', /no PersistentVolumeClaim/, ({ cluster }) => cluster.remove('persistentvolumeclaims', NS, 'data')],
  [
    'the namespace has more volumes than a backup can hold',
    'TooManyVolumes',
    /has 301 PersistentVolumeClaims, and one backup holds at most 256/,
    ({ cluster }) => {
      const data = cluster.find('persistentvolumeclaims', NS, 'data');
      for (let i = 0; i < 300; i++) cluster.put('persistentvolumeclaims', NS, { ...data, metadata: { name: `data-${i}` } });
    },
  ],
  [
    'a named volume is missing',
    'VolumeMissing',
    /PersistentVolumeClaim other does not exist/,
    ({ cluster }) => cluster.change('backuppolicies', NS, 'daily', { spec: { volumes: ['data', 'other'] } }),
  ],
  [
    'a volume is not bound',
    'VolumeUnbound',
    /data is Pending, not Bound/,
    ({ cluster }) => cluster.change('persistentvolumeclaims', NS, 'data', { status: { phase: 'Pending' } }),
  ],
  [
    'a volume is a block device',
    'VolumeIsBlock',
    /raw block device/,
    ({ cluster }) => cluster.change('persistentvolumeclaims', NS, 'data', { spec: { volumeMode: 'Block' } }),
  ],
  [
    'a volume is for one pod only',
    'VolumeSinglePod',
    /ReadWriteOncePod/,
    ({ cluster }) => cluster.change('persistentvolumeclaims', NS, 'data', { spec: { accessModes: ['ReadWriteOncePod'] } }),
  ],
];

describe('a backup that cannot begin', () => {
  it.each(OBSTACLES)('because %s says so at once, in a condition and one event', async (_what, reason, message, hinder) => {
    const world = new MoverWorld();
    hinder(world);
    world.createBackup('first');
    await world.turn();
    await world.turn();
    expect(world.backup('first')?.status?.phase).toBe('Pending');
    expect(reasonOf(world)).toMatchObject({ status: 'False', reason, message: expect.stringMatching(message) });
    expect(world.events.filter((event) => event.reason === reason)).toHaveLength(reason === 'TenantMissing' ? 0 : 1);
  });

  it.each(OBSTACLES)('because %s is given up after half an hour, and starts when it is mended before', async (_what, reason, _message, hinder) => {
    const world = new MoverWorld();
    hinder(world);
    world.createBackup('first');
    await world.turn();
    world.cluster.now += 31 * MINUTE;
    await world.turn();
    expect(world.backup('first')?.status?.phase).toBe('Failed');
    expect(reasonOf(world)).toMatchObject({ reason, message: expect.stringContaining('Given up after 30 minutes') });
  });

  it('writes nothing as long as nothing changes', async () => {
    const world = new MoverWorld();
    world.cluster.remove('backuplocations', undefined, 'here');
    world.createBackup('first');
    await world.turn();
    const { writes } = world.cluster;
    for (let i = 0; i < 5; i++) await world.turn();
    expect(world.cluster.writes).toBe(writes);
  });
});

describe('a backup in the queue', () => {
  /** Its first attempt has failed, and the second is to come. */
  async function queued(): Promise<MoverWorld> {
    const world = new MoverWorld();
    await world.turn();
    world.script = (orders) => failed(orders, 'Unreachable', 'no answer', true);
    world.createBackup('first');
    for (let i = 0; i < 4 && world.backup('first')?.status?.nextAttemptAt === undefined; i++) await world.turn();
    world.script = (orders) => ended(orders);
    expect(world.backup('first')?.status?.phase).toBe('Queued');
    return world;
  }

  it.each(OBSTACLES.filter(([, reason]) => reason !== 'LocationNotReady'))('is given up half an hour after %s, not before', async (_what, reason, _message, hinder) => {
    const world = await queued();
    hinder(world);
    world.cluster.now += 10 * MINUTE;
    await world.turn();
    const { writes } = world.cluster;
    world.cluster.now += 20 * MINUTE;
    await world.turn();
    expect(world.backup('first')?.status?.phase).toBe('Queued');
    expect(reasonOf(world)).toMatchObject({ reason });
    expect(world.cluster.writes).toBe(writes);
    world.cluster.now += 11 * MINUTE;
    await world.turn();
    expect(world.backup('first')?.status?.phase).toBe('Failed');
    expect(reasonOf(world)).toMatchObject({ reason, message: expect.stringContaining('Given up after 30 minutes') });
  });

  it('waits for its location as long as it takes, and has all its time for what is missing after that', async () => {
    const world = await queued();
    const ready = (status: string) => world.cluster.change('backuplocations', undefined, 'here', { status: { conditions: [{ type: 'Ready', status, reason: 'R', message: 'm' }] } });
    ready('False');
    world.cluster.now += 300 * MINUTE;
    await world.turn();
    expect(world.backup('first')?.status?.phase).toBe('Queued');
    ready('True');
    world.cluster.change('persistentvolumeclaims', NS, 'data', { status: { phase: 'Lost' } });
    await world.turn();
    expect(world.backup('first')?.status?.phase).toBe('Queued');
    world.cluster.change('persistentvolumeclaims', NS, 'data', { status: { phase: 'Bound' } });
    await world.settle();
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored' });
    expect(world.backup('first')?.status?.hinderedSince).toBeUndefined();
  });
});

describe('a stored backup', () => {
  it('goes when its time is over, but never the last good one of its policy', async () => {
    const world = new MoverWorld();
    world.createBackup('first', { ttl: '1d' });
    await world.settle();
    world.cluster.now += 25 * 60 * MINUTE;
    await world.settle(5);
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    world.createBackup('second');
    await world.settle();
    world.cluster.now += 61 * MINUTE;
    await world.settle();
    expect(world.backup('first')).toBeUndefined();
    expect(world.backup('second')?.status?.phase).toBe('Stored');
  });

  it('for safety goes after 14 days', async () => {
    const world = new MoverWorld();
    world.createBackup('first', { trigger: 'Safety' });
    await world.settle();
    const status = world.backup('first')?.status;
    expect(Date.parse(status?.expiresAt ?? '') - Date.parse(status?.completedAt ?? '')).toBe(14 * 24 * 60 * MINUTE);
  });
});

describe("a mover's Job", () => {
  async function jobOf(task: 'backup' | 'restore') {
    const world = new MoverWorld();
    world.cluster.change('backuppolicies', NS, 'daily', {
      spec: { mover: { labels: { 'kueue.x-k8s.io/queue-name': 'backups', 'app.kubernetes.io/managed-by': 'forged' }, annotations: { note: 'x' } } },
    });
    world.createBackup('first');
    await world.turn();
    const [job] = world.cluster.all('jobs');
    expect(task).toBe('backup');
    return job as unknown as ReturnType<typeof moverJob>;
  }

  it('is tried once, without Kubernetes credentials, with one capability, read-only, on the node that holds the volume', async () => {
    const world = new MoverWorld();
    await world.turn();
    world.createBackup('first');
    await world.turn();
    const job = world.cluster.all('jobs')[0] as unknown as ReturnType<typeof moverJob>;
    const { template, backoffLimit } = job.spec;
    expect(backoffLimit).toBe(0);
    expect(template.spec).toMatchObject({ restartPolicy: 'Never', automountServiceAccountToken: false });
    expect(template.spec.containers[0]).toMatchObject({
      args: ['mover'],
      securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'], add: ['DAC_READ_SEARCH'] } },
      volumeMounts: [{ mountPath: '/run/tenant-backup', readOnly: true }, { mountPath: '/tmp' }, { mountPath: '/volumes/data', readOnly: true }],
    });
    expect(JSON.stringify(template.spec.affinity)).toContain('"values":["node-1"]');
    expect(job.metadata.ownerReferences).toMatchObject([{ kind: 'Backup', uid: 'uid-first', controller: true }]);
  });

  it("carries the policy's labels, which cannot replace ours", async () => {
    const job = await jobOf('backup');
    expect(job.metadata.labels).toMatchObject({ 'kueue.x-k8s.io/queue-name': 'backups', 'app.kubernetes.io/managed-by': 'tenant-backup' });
    expect(job.spec.template.metadata).toMatchObject({ annotations: { note: 'x' } });
  });

  it('runs where its location lets it, with an image that its location can pull', async () => {
    const placed = { tolerations: [{ key: 'customers', operator: 'Exists', effect: 'NoSchedule' }], imagePullSecrets: [{ name: 'registry' }], nodeSelector: { disk: 'fast' }, priorityClassName: 'low' };
    const world = new MoverWorld();
    world.cluster.change('backuplocations', undefined, 'here', { spec: { mover: placed } });
    await world.turn();
    world.createBackup('first');
    await world.turn();
    const job = world.cluster.all('jobs')[0] as unknown as ReturnType<typeof moverJob>;
    expect(job.spec.template.spec).toMatchObject(placed);
  });
});

describe('volumes in use', () => {
  const claim = (name: string, mode = 'ReadWriteOnce'): ClaimFact => ({
    name,
    uid: name,
    phase: 'Bound',
    volumeMode: 'Filesystem',
    accessModes: [mode],
    deleting: false,
  });
  const user = (node: string, ...claims: string[]) => ({ name: `on-${node}`, node, running: true, claims, moverOf: undefined });

  it('decide the node, unless any node can mount them', () => {
    expect(placement(['a'], [claim('a')], [user('n1', 'a')])).toEqual({ ok: true, node: 'n1' });
    expect(placement(['a'], [claim('a', 'ReadWriteMany')], [user('n1', 'a')])).toEqual({ ok: true, node: undefined });
    expect(placement(['a'], [claim('a')], [user('n1', 'b')])).toEqual({ ok: true, node: undefined });
  });

  it('on different nodes are more than one mover can reach', () => {
    expect(placement(['a', 'b'], [claim('a'), claim('b')], [user('n1', 'a'), user('n2', 'b')])).toMatchObject({
      ok: false,
      reason: 'VolumesOnDifferentNodes',
    });
  });
});

describe('credentials of a mover', () => {
  const at = Date.parse('2030-01-01T00:00:00Z');
  const job = (minutes: number): JobFact => ({
    name: '',
    uid: '',
    owners: [],
    annotations: { 'backup.dupp.de/credentials-expire': new Date(at + minutes * MINUTE).toISOString() },
    createdAt: at,
    suspended: false,
    resumedAt: undefined,
    deleting: false,
    ended: undefined,
  });

  it('are renewed at half of their life, and in time before their end', () => {
    expect(renewalTime(job(60))).toBe(at + 30 * MINUTE);
    expect(renewalTime(job(5))).toBe(at + 2 * MINUTE);
    expect(renewalTime({ ...job(60), annotations: {} })).toBeUndefined();
  });
});

describe('a condition', () => {
  const at = (time: string, status: 'True' | 'False', message = '') => ({
    type: 'Stored',
    status,
    reason: 'R',
    message,
    lastTransitionTime: time,
    observedGeneration: 1,
  });

  it('keeps its time until its status changes, and leaves others alone', () => {
    const other = { ...at('t0', 'True'), type: 'Complete' };
    const input = { type: 'Stored', status: 'False', reason: 'R', message: 'new words' } as const;
    expect(mergeConditions([at('t0', 'False'), other], [input], 1, 't1')).toEqual([at('t0', 'False', 'new words'), other]);
    expect(mergeConditions([at('t0', 'True'), other], [input], 1, 't1')).toEqual([at('t1', 'False', 'new words'), other]);
  });
});

describe('names and words', () => {
  it('are short enough for labels, and differ where what they stand for does', () => {
    expect(attemptName('uid', 101)).toMatch(/^tbmover-[0-9a-f]{20}-101$/);
    expect(safetyBackupName({ name: 'r'.repeat(253), uid: 'u' }).length).toBeLessThanOrEqual(63);
    expect(safetyBackupName({ name: 'back', uid: 'u1' })).not.toBe(safetyBackupName({ name: 'back', uid: 'u2' }));
    expect(labelValue('n'.repeat(253)).length).toBeLessThanOrEqual(63);
    expect(labelValue('n'.repeat(63))).toBe('n'.repeat(63));
  });

  it('read well', () => {
    expect([displayBytes(0), displayBytes(1536), displayBytes(159_375_391)]).toEqual(['0 B', '1.5 KiB', '152 MiB']);
    expect([displayDuration(400), displayDuration(200_000), displayDuration(7_500_000)]).toEqual(['0s', '3m20s', '2h5m']);
    expect([1, 2, 3, 4, 11, 12, 21, 112].map(displayOrdinal)).toEqual(['1st', '2nd', '3rd', '4th', '11th', '12th', '21st', '112th']);
    expect(displayList(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more');
  });
});
