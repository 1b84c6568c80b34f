import { describe, expect, it } from '@jest/globals';
import { ANNOTATION_RECORD, ANNOTATION_RECOVERED, FINALIZER, RecoveredBackup, type Backup, type BackupLocation, type BackupPolicy, type BackupTenant, type TenantRecord } from '../../src/api/index.ts';
import type { BackupFacts } from '../../src/decide/index.ts';
import { backupObject, namespaceClaim, planRecovery, policyObject, recoveryOrder, type FoundSnapshot } from '../../src/decide/recovery.ts';
import { decideRecovered } from '../../src/decide/recovered-backup.ts';
import { standsIn } from '../../src/decide/good.ts';
import { MoverWorld, NS } from '../support/mover-world.ts';
import { decideRecord, hashOf, type RecordFacts } from '../../src/decide/tenant-record.ts';

const TENANT = '0123456789abcdef0123456789abcdef';
const NOW = Date.parse('2026-03-01T10:00:00Z');
const id = (letter: string): string => letter.repeat(64);

function backup(name: string, changed: object = {}, metadata: object = {}): Backup {
  const status = { phase: 'Stored', snapshotId: id('a'), keyGeneration: 2, completedAt: '2026-02-28T02:00:00Z', volumes: ['data'], files: 3, size: '1 KiB', conditions: [{ type: 'Complete', status: 'True' }], ...changed };
  return { metadata: { name, uid: name, generation: 1, ...metadata }, spec: { policy: 'daily', trigger: 'Manual', hold: false, cancel: false }, status } as unknown as Backup;
}

function facts(changed: Partial<RecordFacts> = {}, annotations: Record<string, string> = {}): RecordFacts {
  const location = { metadata: { name: 'here' }, spec: { recover: false }, status: { conditions: [{ type: 'Ready', status: 'True' }] } } as unknown as BackupLocation;
  const tenant = { metadata: { name: 'shop-1', annotations }, spec: { tenantId: TENANT, namespace: 'shop', namespaceUID: 'uid', location: 'here' }, status: { keyGeneration: 2 } } as unknown as BackupTenant;
  const policy = { metadata: { name: 'daily' }, spec: { location: 'here', volumes: ['data'] } } as unknown as BackupPolicy;
  return { tenant, location, namespaceUid: 'uid', terminating: false, policies: [policy], backups: [backup('one')], ...changed };
}

function record(changed: Partial<TenantRecord> = {}): TenantRecord {
  const decision = decideRecord(facts());
  if (decision.do !== 'write') throw new Error(decision.do);
  return { ...decision.record, ...changed };
}

describe('what the bucket is to say of a tenant', () => {
  it('is its namespace, its policies and its stored backups', () => {
    expect(record()).toEqual({
      version: 2,
      rev: 1,
      tenant: TENANT,
      namespace: 'shop',
      keyGeneration: 2,
      policies: [{ name: 'daily', spec: { location: 'here', volumes: ['data'] } }],
      backups: [{ name: 'one', spec: { policy: 'daily', trigger: 'Manual', hold: false, cancel: false }, stored: { snapshotId: id('a'), keyGeneration: 2, completedAt: '2026-02-28T02:00:00Z', complete: true, volumes: ['data'], files: 3, size: '1 KiB' } }],
    });
  });

  it('is written once, and again under the next revision when something has changed', () => {
    const annotations = { [ANNOTATION_RECORD]: `7 ${hashOf(record())}` };
    expect(decideRecord(facts({}, annotations))).toEqual({ do: 'nothing' });
    expect(decideRecord(facts({ backups: [] }, annotations))).toMatchObject({ do: 'write', record: { rev: 8, backups: [] } });
  });

  it('is the same in whatever order the API server gives keys and objects', () => {
    const policy = { metadata: { name: 'daily' }, spec: { volumes: ['data'], location: 'here' } } as unknown as BackupPolicy;
    const [a, b] = [backup('a'), backup('b')];
    const one = decideRecord(facts({ backups: [a, b] }));
    const other = decideRecord(facts({ backups: [b, a], policies: [policy] }));
    expect(one.do === 'write' && other.do === 'write' && one.hash === other.hash).toBe(true);
  });

  it.each<[string, Partial<RecordFacts>, string]>([
    ['its namespace is gone', { namespaceUid: undefined }, 'nothing'],
    ['its namespace is another one', { namespaceUid: 'other' }, 'nothing'],
    ['its namespace is going', { terminating: true }, 'nothing'],
    ['it has no policy any more', { policies: [] }, 'nothing'],
    ['the location is gone', { location: undefined }, 'nothing'],
    ['the location is a copy', { location: { spec: { recover: true } } as unknown as BackupLocation }, 'nothing'],
    ['the location cannot be written', { location: { spec: { recover: false }, status: {} } as unknown as BackupLocation }, 'later'],
  ])('stays what it was when %s', (_, changed, what) => {
    expect(decideRecord(facts(changed)).do).toBe(what);
  });

  it('leaves out what is not stored, and what is being deleted', () => {
    const decision = decideRecord(facts({ backups: [backup('running', { phase: 'Transferring' }), backup('going', {}, { deletionTimestamp: '2026-03-01T00:00:00Z' })] }));
    expect(decision).toMatchObject({ record: { backups: [] } });
  });
});

describe('what is made anew of a tenant', () => {
  const snapshot = (letter: string, changed: Partial<FoundSnapshot> = {}): FoundSnapshot => ({ snapshotId: id(letter), keyGeneration: 2, createdAt: '2026-02-28T01:59:00Z', complete: true, ...changed });

  it('is every backup of the record that the bucket has, in its policy and namespace', () => {
    const decision = planRecovery({ tenantId: TENANT, record: record(), refused: [], snapshots: [snapshot('a')] });
    expect(decision).toMatchObject({ ok: true, plan: { namespace: 'shop', problems: [], backups: [{ name: 'one' }] } });
    if (!decision.ok) return;
    expect(policyObject(decision.plan, decision.plan.policies[0] ?? { name: '', spec: {} }, 'there')).toMatchObject({ metadata: { name: 'daily', namespace: 'shop' }, spec: { location: 'there', volumes: ['data'] } });
    const made = backupObject(decision.plan, decision.plan.backups[0] ?? { name: '', spec: {}, stored: {} as RecoveredBackup });
    expect(made.metadata.labels).toEqual({ 'backup.dupp.de/policy': 'daily' });
    expect(RecoveredBackup.parse(JSON.parse(made.metadata.annotations[ANNOTATION_RECOVERED]))).toMatchObject({ snapshotId: id('a'), complete: true });
  });

  it('is also what the record does not name, for it is the customer\'s all the same', () => {
    const decision = planRecovery({ tenantId: TENANT, record: record(), refused: [], snapshots: [snapshot('a'), snapshot('b', { complete: false })] });
    expect(decision).toMatchObject({ plan: { backups: [{ name: 'one' }, { name: 'recovered-bbbbbbbbbbbb', spec: { policy: 'daily' }, stored: { completedAt: '2026-02-28T01:59:00Z', complete: false, volumes: ['data'], unrecorded: true } }] } });
  });

  it('gives a namespace to the tenant that had it last, whatever their ids are, and to one that has backups before one of which nothing tells', () => {
    const earlier = record({ tenant: '0'.repeat(32), backups: record().backups.map((each) => ({ ...each, stored: { ...each.stored, completedAt: '2026-01-01T02:00:00Z' } })) });
    const later = record({ tenant: 'f'.repeat(32), since: '2026-02-01T00:00:00Z', backups: [] });
    const claims = [earlier, later].map((each) => namespaceClaim(each.tenant, each));
    expect(recoveryOrder([...claims, namespaceClaim('1'.repeat(32), undefined)])).toEqual(['f'.repeat(32), '0'.repeat(32), '1'.repeat(32)]);
  });

  it('is told of a backup that the bucket does not have', () => {
    expect(planRecovery({ tenantId: TENANT, record: record(), refused: [], snapshots: [] })).toMatchObject({ ok: true, plan: { backups: [], problems: [expect.stringContaining('Backup shop/one is not in this bucket')] } });
  });

  it.each<[string, TenantRecord | undefined, string]>([
    ['nothing names its namespace', undefined, 'no record that names its namespace'],
    ['its record is that of another tenant', record({ tenant: 'f'.repeat(32) }), 'moved objects between tenants'],
    ['its record has no policy', record({ policies: [] }), 'has no policy'],
  ])('is nothing when %s', (_, given, problem) => {
    expect(planRecovery({ tenantId: TENANT, record: given, refused: [], snapshots: [snapshot('a')] })).toEqual({ ok: false, problem: expect.stringContaining(problem) });
  });
});

describe('a record that nobody trusts', () => {
  const refused = [{ rev: 9, digest: id('d'), sealedBy: undefined }];

  it('is told of with what a person can do, and the newest one that is trusted counts', () => {
    expect(planRecovery({ tenantId: TENANT, record: record(), refused, snapshots: [{ snapshotId: id('a'), keyGeneration: 2, createdAt: '2026-02-28T01:59:00Z', complete: true }] })).toMatchObject({
      ok: true,
      plan: { backups: [{ name: 'one' }], problems: [expect.stringMatching(/revision 9 .* no seal .*trustedKeys.*d{64}.*acceptedRecords.*Revision 1 was taken/)] },
    });
  });

  it('brings nothing back where there is no other', () => {
    const sealed = [{ ...refused[0]!, sealedBy: 'abcdef0123456789' }];
    expect(planRecovery({ tenantId: TENANT, record: undefined, refused: sealed, snapshots: [{ snapshotId: id('a'), keyGeneration: 2, createdAt: '2026-02-28T01:59:00Z', complete: true }] })).toEqual({ ok: false, problem: expect.stringMatching(/sealed by the key abcdef0123456789, which is not trusted/) });
  });
});

describe('a Backup that was made anew', () => {
  const stored = { snapshotId: id('a'), keyGeneration: 2, completedAt: '2026-02-28T02:00:00Z', complete: true, volumes: ['data'], size: '1 KiB' };
  const seen = (recover: boolean | undefined, status?: object, annotation = JSON.stringify(stored), finalizers: readonly string[] = [FINALIZER]): BackupFacts => {
    const of = { metadata: { name: 'one', generation: 1, finalizers, annotations: { [ANNOTATION_RECOVERED]: annotation } }, spec: { policy: 'daily' }, status } as unknown as Backup;
    return { backup: of, ground: { location: recover === undefined ? undefined : { spec: { recover } }, tenant: { metadata: { name: 'shop-1' } } } } as unknown as BackupFacts;
  };

  it('is stored at once, of the tenant that is there now', () => {
    expect(decideRecovered(seen(true), NOW)).toMatchObject({ steps: [{ do: 'writeStatus', status: { phase: 'Stored', tenant: 'shop-1', snapshotId: id('a'), keyGeneration: 2, volumes: ['data'], completedAt: '2026-02-28T02:00:00Z', conditions: [{ type: 'Stored', status: 'True' }, { type: 'Complete', status: 'True' }] } }] });
  });

  it('is chosen by nobody who asks for the newest, where only its manifest tells of it', () => {
    const plan = decideRecovered(seen(true, undefined, JSON.stringify({ ...stored, unrecorded: true })), NOW);
    const [step] = plan?.steps ?? [];
    if (step?.do !== 'writeStatus') throw new Error('no status is written');
    expect(step.status).toMatchObject({ phase: 'Stored', conditions: expect.arrayContaining([expect.objectContaining({ type: 'Plausible', status: 'False', reason: 'NotRecorded', message: expect.stringContaining('acknowledged=true') })]) });
    expect(step.status).not.toHaveProperty('unrecorded');
    const recovered = { metadata: { name: 'one', creationTimestamp: '2026-03-01T00:00:00Z' }, spec: { policy: 'daily', trigger: 'Manual' }, status: step.status } as unknown as Backup;
    expect(standsIn(recovered)).toBe(false);
  });

  it('gets the finalizer first that every other has', () => {
    expect(decideRecovered(seen(true, undefined, JSON.stringify(stored), []), NOW)).toEqual({ steps: [{ do: 'addFinalizer' }], again: true });
  });

  it('waits for its location to be seen', () => {
    expect(decideRecovered(seen(undefined), NOW)).toEqual({ steps: [], wakeAt: NOW + 2000 });
  });

  it('is one like any other where the location does not recover, once it has a status, and where the annotation is none', () => {
    expect(decideRecovered(seen(false), NOW)).toBeUndefined();
    expect(decideRecovered(seen(true, { phase: 'Stored' }), NOW)).toBeUndefined();
    expect(decideRecovered(seen(true, undefined, 'nonsense'), NOW)).toBeUndefined();
  });
});

describe('a Backup in a location that is a copy', () => {
  async function recovered(): Promise<MoverWorld> {
    const world = new MoverWorld();
    world.createBackup('one');
    await world.settle();
    world.createBackup('two');
    await world.settle();
    world.cluster.change('backuplocations', undefined, 'here', { spec: { recover: true } });
    return world;
  }

  it('is not forgotten when it is deleted: it says why, stays restorable, and goes when a person lets go of it', async () => {
    const world = await recovered();
    const before = world.ran.length;
    world.cluster.remove('backups', NS, 'one');
    await world.settle();
    expect(world.backup('one')?.status).toMatchObject({ phase: 'Stored', conditions: expect.arrayContaining([expect.objectContaining({ type: 'Deleted', status: 'False', reason: 'LocationReadOnly' })]) });
    world.createRestore('back', 'one', { safetyBackup: 'Skip' });
    await world.settle();
    expect(world.restore('back')?.status?.phase).toBe('Succeeded');
    expect(world.ran.slice(before).map(({ task }) => task)).toEqual(['restore']);

    world.cluster.change('backups', NS, 'one', { metadata: { annotations: { 'backup.dupp.de/abandon': 'true' } } });
    await world.settle();
    expect(world.backup('one')).toBeUndefined();
    expect(world.ran.filter(({ task }) => task === 'forget')).toEqual([]);
  });

  it('outlives its time', async () => {
    const world = await recovered();
    world.cluster.change('backups', NS, 'one', { spec: { ttl: '1h' } });
    world.cluster.now += 48 * 3_600_000;
    await world.settle();
    expect([world.backup('one')?.status?.phase, world.backup('one')?.metadata.deletionTimestamp]).toEqual(['Stored', undefined]);
  });
});
