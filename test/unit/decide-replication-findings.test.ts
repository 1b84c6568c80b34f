import { describe, expect, it } from '@jest/globals';
import type { Backup, BackupTenant, ReplicationResult, ReplicationStatus } from '../../src/api/index.ts';
import { expectedSnapshots, findingsAfter, type ExpectedSnapshot } from '../../src/decide/replication-findings.ts';

const [ONE, TWO] = ['1'.repeat(32), '2'.repeat(32)];
const BEGAN = '2026-03-02T04:00:00Z';
const status: ReplicationStatus = { phase: 'Running', stage: 'Copying', attemptedAt: BEGAN };
const NOBODY = new Set<string>();

type Tenant = ReplicationResult['tenants'][number];

function result(tenants: readonly (Partial<Tenant> & { tenant: string })[], changed: Partial<ReplicationResult> = {}): ReplicationResult {
  const all: Tenant[] = tenants.map((tenant) => ({ state: 'done', snapshots: [], ...tenant }));
  const inState = (state: string) => all.filter((each) => each.state === state).length;
  const counts = { done: inState('done'), waiting: inState('waiting'), failed: inState('failed'), diverged: inState('diverged'), objects: 0, bytes: 0, extended: 0, collected: 0 };
  return { version: 1, task: 'replicate', attempt: 'a', uid: 'u', runId: 'r', shard: 0, outcome: 'succeeded', startedAt: '', finishedAt: '', counts, tenants: all, findings: [], ...changed };
}

const expected = (snapshot: string, changed: Partial<ExpectedSnapshot> = {}): ExpectedSnapshot => ({ tenantId: ONE, snapshot, backup: `shop/${snapshot}`, storedAt: Date.parse(BEGAN) - 3_600_000, ...changed });

describe('a backup that is stored in the cluster', () => {
  it.each<[string, readonly ReplicationResult[], readonly ExpectedSnapshot[], ReadonlySet<string>, readonly string[]]>([
    ['is told of when the first data center has it no more, though everything there looks done', [result([{ tenant: ONE, snapshots: ['b'] }])], [expected('a'), expected('b')], NOBODY, ['shop/a']],
    ['is told of when nothing is left of its tenant anywhere', [result([{ tenant: TWO }])], [expected('a')], NOBODY, ['shop/a']],
    ['is no alarm where it is there', [result([{ tenant: ONE, snapshots: ['a'] }])], [expected('a')], NOBODY, []],
    ['is no alarm where it was stored after the copy began', [result([{ tenant: ONE }])], [expected('a', { storedAt: Date.parse(BEGAN) })], NOBODY, []],
    ['is no alarm where clocks that differ could have it before the copy, though it came after', [result([{ tenant: ONE }])], [expected('a', { storedAt: Date.parse(BEGAN) - 14 * 60_000 })], NOBODY, []],
    ['is no alarm where its tenant waits or has failed', [result([{ tenant: ONE, state: 'waiting' }, { tenant: TWO, state: 'failed' }])], [expected('a'), expected('b', { tenantId: TWO })], NOBODY, []],
    ['is no second alarm where the loss is told of already', [result([{ tenant: ONE, state: 'diverged' }])], [expected('a')], NOBODY, []],
    ['is no alarm where somebody else was left out, and its tenant may be', [result([{ tenant: TWO, state: 'waiting' }])], [expected('a')], NOBODY, []],
    ['is no alarm where a person has let its tenant go', [result([{ tenant: ONE }])], [expected('a')], new Set([ONE]), []],
  ])('%s', (_, shards, snapshots, letGo, names) => {
    const found = findingsAfter(status, shards, snapshots, letGo);
    expect(found).toMatchObject({ isGivenUp: names.length > 0, tenantsDiverged: names.length === 0 ? Number(shards[0]?.counts.diverged) : 1 });
    expect(found.diverged.map((line) => /forgotten: (\S+)\. /.exec(line)?.[1])).toEqual(names);
  });

  it('is expected there unless it is being deleted, is not stored, or is another tenant\'s of a namespace of that name', () => {
    const tenant = { metadata: { name: 'shop-1' }, spec: { tenantId: ONE, namespace: 'shop' } } as unknown as BackupTenant;
    const backup = (name: string, changed: object, deletionTimestamp?: string): Backup =>
      ({ metadata: { name, namespace: 'shop', creationTimestamp: BEGAN, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) }, status: { phase: 'Stored', tenant: 'shop-1', snapshotId: name, completedAt: BEGAN, ...changed } }) as unknown as Backup;
    const backups = [backup('stored', {}), backup('deleted', {}, BEGAN), backup('failed', { phase: 'Failed' }), backup('deleting', { phase: 'Deleting' }), backup('of-before', { tenant: 'shop-0' }), backup('nowhere', { snapshotId: undefined })];
    expect(expectedSnapshots(tenant, backups)).toEqual([{ tenantId: ONE, snapshot: 'stored', backup: 'shop/stored', storedAt: Date.parse(BEGAN) }]);
  });
});

describe('an alarm of the last copy', () => {
  const before: ReplicationStatus = { ...status, tenantsDiverged: 1, diverged: [`tenant ${ONE}: Missing: 4 snapshots are gone`] };

  it.each<[string, readonly (ReplicationResult | undefined)[]]>([
    ['worker was lost', [result([{ tenant: TWO }]), undefined]],
    ['window ended before that tenant', [result([{ tenant: ONE, state: 'waiting' }])]],
    ['tenant failed', [result([{ tenant: ONE, state: 'failed' }])]],
    ['worker ended early', [result([], { outcome: 'failed', failure: { code: 'Timeout', message: 'no answer', retryable: true } })]],
  ])('stands when its %s: nobody has looked', (_, shards) => {
    expect(findingsAfter(before, shards, [], NOBODY)).toEqual({ diverged: before.diverged, tenantsDiverged: 1, isGivenUp: false });
  });

  it('ends when that tenant was looked at, whoever else was left out', () => {
    expect(findingsAfter(before, [result([{ tenant: ONE }]), undefined], [], NOBODY)).toMatchObject({ diverged: [], tenantsDiverged: 0 });
    expect(findingsAfter(before, [result([])], [], NOBODY)).toMatchObject({ diverged: [], tenantsDiverged: 0 });
  });

  it('is told once where it is found again', () => {
    const finding = { tenant: ONE, kind: 'Missing' as const, message: '5 snapshots are gone', count: 5, names: [] };
    const again = findingsAfter(before, [result([{ tenant: ONE, state: 'diverged' }], { findings: [finding] }), undefined], [], NOBODY);
    expect(again).toMatchObject({ diverged: [`tenant ${ONE}: Missing: 5 snapshots are gone`], tenantsDiverged: 1 });
  });
});
