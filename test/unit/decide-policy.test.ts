import { describe, expect, it } from '@jest/globals';
import type { Backup, BackupLocation, BackupPolicy, BackupPolicyStatus, BackupTenant } from '../../src/api/index.ts';
import type { ClaimFact } from '../../src/decide/observed.ts';
import { NO_STORAGE } from '../support/storage-facts.ts';
import { NOT_VERIFIED, VERIFICATION } from '../support/verification-facts.ts';
import { decidePolicy, type PolicyFacts } from '../../src/decide/policy.ts';

const NOW = Date.parse('2026-03-20T10:00:00Z');
const DAY = 86_400_000;
const HOUR = 3_600_000;
const claim = (name: string, changed: Partial<ClaimFact> = {}) => ({ name, phase: 'Bound', volumeMode: 'Filesystem', accessModes: ['ReadWriteOnce'], deleting: false, ...changed }) as ClaimFact;

function policy(changed: Partial<BackupPolicy['spec']> = {}, status?: BackupPolicyStatus): BackupPolicy {
  return {
    apiVersion: 'backup.dupp.de/v1alpha1',
    kind: 'BackupPolicy',
    metadata: { name: 'daily', namespace: 'n', uid: 'p', resourceVersion: '1', generation: 2, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { location: 'here', copyMethod: 'Direct', groupSnapshot: 'Auto', quota: { maxBackups: 7 }, shrinkWarningPercent: 50, confirmDeletionsFrom: 5, verification: VERIFICATION, history: { failedBackups: 5, restores: 10 }, mover: {}, ...changed },
    ...(status ? { status } : {}),
  };
}

function location(conditions: { type: string; status: string; reason: string; message: string }[]): BackupLocation {
  return { metadata: { name: 'here' }, spec: {}, status: { conditions } } as BackupLocation;
}

function stored(name: string, completedAt: number, complete = true): Backup {
  const conditions = [{ type: 'Complete', status: complete ? 'True' : 'False' }];
  return { metadata: { name, uid: name }, spec: { trigger: 'Manual' }, status: { phase: 'Stored', completedAt: new Date(completedAt).toISOString(), conditions } } as Backup;
}

const usable = { type: 'Ready', status: 'True', reason: 'Usable', message: 'fine' };
const isolated = { type: 'Isolated', status: 'False', reason: 'StorageShared', message: 'shared' };

function facts(changed: Partial<PolicyFacts> = {}): PolicyFacts {
  return {
    namespace: { uid: 'u', terminating: false },
    location: location([usable, isolated]),
    tenant: { metadata: { name: 'n-u' }, spec: { tenantId: '0', namespace: 'n', namespaceUID: 'u', location: 'here' } } as BackupTenant,
    claims: [claim('data')],
    storage: NO_STORAGE,
    backups: [],
    restores: [],
    workload: { ok: true },
    quota: { used: 0, max: 7, display: '0/7', slots: [] },
    verification: NOT_VERIFIED,
    ...changed,
  };
}

function decide(changed: Partial<PolicyFacts>, spec: Partial<BackupPolicy['spec']> = {}) {
  const { status, wakeAt } = decidePolicy(policy(spec), facts(changed), NOW);
  const condition = (type: string) => status.conditions?.find((each) => each.type === type);
  return { status, wakeAt, condition };
}

describe('whether the next backup can be made', () => {
  it.each<[string, Partial<PolicyFacts>, Partial<BackupPolicy['spec']>, string]>([
    ['all is there', {}, {}, 'Ready'],
    ['the namespace goes', { namespace: { uid: 'u', terminating: true } }, {}, 'NamespaceTerminating'],
    ['the location is missing', { location: undefined }, {}, 'LocationMissing'],
    ['the location was not tried yet', { location: location([]) }, {}, 'LocationNotReady'],
    ['the location is not usable', { location: location([{ ...usable, status: 'False', reason: 'BucketMissing' }]) }, {}, 'LocationNotReady'],
    ['the tenant is not made yet', { tenant: undefined }, {}, 'TenantMissing'],
    ['another namespace had the name', { namespace: { uid: 'other', terminating: false } }, {}, 'TenantForeign'],
    ['the policy names a second location', {}, { location: 'there' }, 'LocationDiffers'],
    ['there is no volume', { claims: [] }, {}, 'NoVolumes'],
    ['a named volume is missing', {}, { volumes: ['data', 'logs'] }, 'VolumeMissing'],
    ['a volume is not bound', { claims: [claim('data', { phase: 'Pending' })] }, {}, 'VolumeUnbound'],
    ['the workload is missing', { workload: { ok: false, reason: 'WorkloadMissing', message: 'no' } }, {}, 'WorkloadMissing'],
    ['both location and volume are wrong: the location is told', { location: undefined, claims: [] }, {}, 'LocationMissing'],
  ])('when %s', (_, changed, spec, reason) => {
    expect(decide(changed, spec).condition('Ready')).toMatchObject({ status: reason === 'Ready' ? 'True' : 'False', reason, observedGeneration: 2 });
  });

  it('names the volumes that the next backup holds, even while the location is not ready', () => {
    expect(decide({ claims: [claim('logs'), claim('data')], location: undefined }).status.volumes).toEqual(['data', 'logs']);
  });
});

describe('whether the customer is protected', () => {
  it.each<[string, Backup[], string, number | undefined]>([
    ['there is no backup', [], 'NoBackup', undefined],
    ['the only one lacks files', [stored('a', NOW - DAY, false)], 'NoBackup', undefined],
    ['one is a day old', [stored('a', NOW - DAY)], 'FreshBackup', NOW + 13 * DAY],
    ['one is a millisecond younger than maxAge', [stored('a', NOW - 14 * DAY + 1)], 'FreshBackup', NOW + 1],
    ['one is exactly as old as maxAge', [stored('a', NOW - 14 * DAY)], 'BackupTooOld', undefined],
    ['the newest lacks files and the whole one is old', [stored('b', NOW - DAY, false), stored('a', NOW - 20 * DAY)], 'BackupTooOld', undefined],
    ['they come in any order', [stored('b', NOW - DAY), stored('a', NOW - 20 * DAY)], 'FreshBackup', NOW + 13 * DAY],
  ])('when %s', (_, backups, reason, wakeAt) => {
    const decided = decide({ backups });
    expect(decided.condition('Protected')).toMatchObject({ status: reason === 'FreshBackup' ? 'True' : 'False', reason });
    expect(decided.wakeAt).toBe(wakeAt);
  });

  it('tells the last backup apart from the last whole one', () => {
    const { status } = decide({ backups: [stored('b', NOW - DAY, false), stored('a', NOW - 2 * DAY)] });
    expect(status).toMatchObject({ lastBackup: 'b', lastSuccess: new Date(NOW - 2 * DAY).toISOString() });
  });
});

describe('a policy with the module', () => {
  const automatic = { schedule: '0 2 * * *', timeZone: 'UTC', startingDeadline: '12h', suspend: false, keep: 2 };
  const scheduled = (name: string, age: number) => ({ ...stored(name, NOW - age), spec: { trigger: 'Automatic' } }) as Backup;
  const before = { automatic: { schedule: '0 2 * * * UTC', since: '2026-03-01T00:00:00Z', lastScheduled: '2026-03-19T02:00:00Z', kept: 2, display: '2/2' } };

  it('protects for 26 hours by itself, 14 days without it, and as long as it is told', () => {
    const backups = [scheduled('a', 25 * HOUR)];
    const old = [scheduled('a', 27 * HOUR)];
    expect(decide({ backups }, { automatic }).condition('Protected')).toMatchObject({ status: 'True' });
    expect(decide({ backups: old }, { automatic }).condition('Protected')).toMatchObject({ status: 'False', reason: 'BackupTooOld', message: expect.stringContaining('26h') });
    expect(decide({ backups: old }).condition('Protected')).toMatchObject({ status: 'True', message: expect.stringContaining('14d') });
    expect(decide({ backups: old }, { automatic, maxAge: '2d' }).condition('Protected')).toMatchObject({ status: 'True' });
  });

  it('makes what is due, with the quota full, and rotates', () => {
    const backups = [scheduled('a', 3 * DAY), scheduled('b', 2 * DAY), scheduled('c', DAY)];
    const full = { used: 7, max: 7, display: '7/7', slots: [] };
    const decision = decidePolicy(policy({ automatic }, before), facts({ backups, quota: full }), NOW);
    expect(decision).toMatchObject({ run: { name: 'daily-202603200200' }, status: { automatic: { kept: 3, display: '3/2', nextRun: '2026-03-21T02:00:00Z' } } });
    expect(decision.rotate.map(({ metadata }) => metadata.name)).toEqual(['a']);
    expect(decision.rotatesMany).toBe(false);
    const many = Array.from({ length: 7 }, (_, i) => scheduled(`m${i}`, (9 - i) * DAY));
    expect(decidePolicy(policy({ automatic }, before), facts({ backups: many }), NOW).rotatesMany).toBe(true);
    expect(decision.status.conditions?.find(({ type }) => type === 'Scheduled')).toMatchObject({ status: 'True', reason: 'Scheduled' });
  });

  it('waits for a location that is not ready, and not for a workload that is missing', () => {
    const away = decidePolicy(policy({ automatic }, before), facts({ location: undefined }), NOW);
    expect(away.run).toBeUndefined();
    expect(away.status.conditions?.find(({ type }) => type === 'Scheduled')).toMatchObject({ status: 'False', reason: 'LocationMissing' });
    const missing = facts({ workload: { ok: false, reason: 'WorkloadMissing', message: 'no' } });
    expect(decidePolicy(policy({ automatic }, before), missing, NOW).run).toBeDefined();
  });

  it('leaves what is there when the module ends', () => {
    const backups = [scheduled('a', 3 * DAY), scheduled('b', 2 * DAY), scheduled('c', DAY)];
    expect(decidePolicy(policy({}, before), facts({ backups }), NOW)).toMatchObject({ rotate: [], status: { automatic: { kept: 3, display: '3' } } });
  });
});

describe('what else is told', () => {
  it.each([
    [6, 7, 'False', 'RoomLeft'],
    [7, 7, 'True', 'Full'],
    [7, 3, 'True', 'Full'],
  ])('%i of %i', (used, max, status, reason) => {
    expect(decide({ quota: { used, max, display: '', slots: [] } }).condition('QuotaFull')).toMatchObject({ status, reason });
  });

  it('repeats what the location says of isolation, and that nobody tried where nobody did', () => {
    expect(decide({}).condition('Isolated')).toMatchObject({ status: 'False', reason: 'StorageShared' });
    expect(decide({ location: undefined }).condition('Isolated')).toMatchObject({ status: 'Unknown', reason: 'LocationNotProbed' });
  });

  it('is the same later when nothing changed', () => {
    const first = decidePolicy(policy(), facts(), NOW).status;
    expect(decidePolicy(policy({}, first), facts(), NOW + 1000).status).toEqual(first);
  });
});
