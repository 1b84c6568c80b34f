import { describe, expect, it } from '@jest/globals';
import type { Backup, BackupPolicy, BackupPolicyStatus } from '../../src/api/index.ts';
import { automaticBackupName } from '../../src/decide/child-names.ts';
import { decideSchedule, type ScheduleDecision } from '../../src/decide/schedule.ts';

type Automatic = NonNullable<BackupPolicy['spec']['automatic']>;
const NIGHTLY: Automatic = { schedule: '0 2 * * *', timeZone: 'UTC', startingDeadline: '12h', suspend: false, keep: 7 };
const KEY = '0 2 * * * UTC';

interface World {
  automatic?: Partial<Automatic>;
  status?: Partial<NonNullable<BackupPolicyStatus['automatic']>>;
  backups?: Backup[];
  generation?: number;
  created?: string;
  uid?: string;
  ready?: boolean;
}

function decide(now: string, world: World = {}): ScheduleDecision {
  const { status = { schedule: KEY, since: '2026-03-01T00:00:00Z', lastScheduled: '2026-03-09T02:00:00Z' } } = world;
  const policy = {
    metadata: { name: 'daily', namespace: 'n', uid: world.uid ?? 'p', generation: world.generation ?? 2, creationTimestamp: world.created ?? '2026-03-01T00:00:00Z' },
    spec: { automatic: { ...NIGHTLY, ...world.automatic } },
    status: { automatic: { kept: 0, display: '', ...status } },
  } as unknown as BackupPolicy;
  const hindrance = world.ready === false ? { reason: 'LocationNotReady', message: 'not ready.' } : undefined;
  return decideSchedule({ policy, backups: world.backups ?? [], hindrance }, Date.parse(now));
}

function automatic(slot: string, phase: string): Backup {
  const name = `daily-${slot.slice(0, 16).replace(/\D/g, '')}`;
  return { metadata: { name, annotations: { 'backup.dupp.de/scheduled-at': slot } }, spec: { trigger: 'Automatic' }, status: { phase } } as unknown as Backup;
}

describe('the next automatic backup', () => {
  it('waits until its time', () => {
    expect(decide('2026-03-10T01:59:59Z')).toMatchObject({ kind: 'waiting', wakeAt: Date.parse('2026-03-10T02:00:00Z') });
  });

  it('is made at its time, under the name of the minute, and remembered', () => {
    const decision = decide('2026-03-10T02:00:00Z');
    expect(decision).toMatchObject({ kind: 'run', run: { name: 'daily-202603100200' }, wakeAt: Date.parse('2026-03-11T02:00:00Z') });
    expect(decision.remembered).toEqual({ schedule: KEY, since: '2026-03-01T00:00:00Z', lastScheduled: '2026-03-10T02:00:00Z', nextRun: '2026-03-11T02:00:00Z' });
    expect(decision.missed).toBeUndefined();
  });

  it('is not made twice: neither once remembered, nor when its Backup is there after a crash', () => {
    expect(decide('2026-03-10T02:00:01Z', { status: { schedule: KEY, since: '2026-03-01T00:00:00Z', lastScheduled: '2026-03-10T02:00:00Z' } }).kind).toBe('waiting');
    const crashed = decide('2026-03-10T02:00:01Z', { backups: [automatic('2026-03-10T02:00:00Z', 'Pending')] });
    expect(crashed).toMatchObject({ kind: 'waiting', remembered: { lastScheduled: '2026-03-10T02:00:00Z' } });
  });

  it('is not kept from being made by somebody who forged the mark of one', () => {
    const forged = automatic('2026-03-10T02:00:00Z', 'Stored');
    expect(decide('2026-03-10T02:00:00Z', { backups: [{ ...forged, spec: { ...forged.spec, trigger: 'Manual' } }] }).kind).toBe('run');
  });

  it('gives a name of 253 characters at most, and different ones to long policies', () => {
    const long = (end: string) => {
      const policy = { metadata: { name: 'a'.repeat(252) + end, uid: 'p', generation: 1, creationTimestamp: '2026-03-10T00:00:00Z' }, spec: { automatic: NIGHTLY } } as unknown as BackupPolicy;
      return decideSchedule({ policy, backups: [], hindrance: undefined }, Date.parse('2026-03-10T02:00:00Z')).run?.name ?? '';
    };
    expect(long('b')).toMatch(/^a+-[0-9a-f]{6}-202603100200$/);
    expect(long('b').length).toBeLessThanOrEqual(253);
    expect(long('b')).not.toBe(long('c'));
    expect(automaticBackupName('a'.repeat(253), 0, 'uid')).toMatch(/^a+-[0-9a-f]{6}-197001010000-[0-9a-f]{6}$/);
    expect(automaticBackupName('a'.repeat(253), 0, 'uid')).toHaveLength(253);
  });
});

describe('a run that was missed', () => {
  it('is made up for within the deadline', () => {
    expect(decide('2026-03-10T13:59:00Z')).toMatchObject({ kind: 'run', run: { name: 'daily-202603100200' } });
    expect(decide('2026-03-10T14:00:00Z').kind).toBe('run');
  });

  it('is told and not made after the deadline', () => {
    const decision = decide('2026-03-10T14:00:01Z');
    expect(decision).toMatchObject({ kind: 'waiting', missed: { newest: Date.parse('2026-03-10T02:00:00Z'), count: 1 } });
    expect(decision.remembered).toMatchObject({ lastScheduled: '2026-03-10T02:00:00Z', lastMissed: '2026-03-10T02:00:00Z', nextRun: '2026-03-11T02:00:00Z' });
  });

  it('is one, however many were missed: the newest', () => {
    expect(decide('2026-03-20T03:00:00Z')).toMatchObject({ kind: 'run', run: { name: 'daily-202603200200' }, missed: { count: 10, newest: Date.parse('2026-03-19T02:00:00Z') } });
  });

  it('costs no walk through a year of minutes', () => {
    const began = performance.now();
    const minutely = { schedule: '* * * * *', startingDeadline: '5m' };
    const status = { schedule: '* * * * * UTC', since: '2025-03-01T00:00:00Z', lastScheduled: '2025-03-09T02:00:00Z' };
    expect(decide('2026-03-10T02:00:30Z', { automatic: minutely, status })).toMatchObject({ kind: 'run', run: { name: 'daily-202603100200' }, missed: { count: 100, newest: Date.parse('2026-03-10T01:59:00Z') } });
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('counts none that a Backup exists for', () => {
    const backups = [automatic('2026-03-10T02:00:00Z', 'Stored')];
    expect(decide('2026-03-12T02:00:00Z', { backups })).toMatchObject({ kind: 'run', missed: { count: 1, newest: Date.parse('2026-03-11T02:00:00Z') } });
  });
});

describe('a clock that jumps', () => {
  it('forward over a night: the run is made up for', () => {
    expect(decide('2026-03-10T09:00:00Z').kind).toBe('run');
  });

  it('back over the time of a run: it is not made again', () => {
    const world = { status: { schedule: KEY, since: '2026-03-01T00:00:00Z', lastScheduled: '2026-03-10T02:00:00Z' }, backups: [automatic('2026-03-10T02:00:00Z', 'Stored')] };
    expect(decide('2026-03-10T01:30:00Z', world)).toMatchObject({ kind: 'waiting' });
    expect(decide('2026-03-10T02:00:00Z', world)).toMatchObject({ kind: 'waiting', wakeAt: Date.parse('2026-03-11T02:00:00Z') });
  });

  it('back by years: runs go on', () => {
    const world = { status: { schedule: KEY, since: '2031-03-01T00:00:00Z', lastScheduled: '2031-03-10T02:00:00Z' } };
    const evening = decide('2026-03-10T20:00:00Z', world);
    expect(evening).toMatchObject({ kind: 'waiting', wakeAt: Date.parse('2026-03-11T02:00:00Z') });
    expect(decide('2026-03-11T02:00:00Z', { status: evening.remembered ?? {} }).kind).toBe('run');
  });
});

describe('when a schedule comes into force', () => {
  it('makes nothing up from before the module was booked', () => {
    expect(decide('2026-03-10T03:00:00Z', { status: {}, generation: 5 })).toMatchObject({ kind: 'waiting', remembered: { since: '2026-03-10T03:00:00Z' } });
  });

  it('counts from the creation of a policy that came with it, though the operator was down', () => {
    const policy = { metadata: { name: 'daily', uid: 'p', generation: 1, creationTimestamp: '2026-03-10T01:00:00Z' }, spec: { automatic: NIGHTLY } } as unknown as BackupPolicy;
    expect(decideSchedule({ policy, backups: [], hindrance: undefined }, Date.parse('2026-03-10T03:00:00Z')).kind).toBe('run');
  });

  it('makes nothing up that the schedule before the change, or the suspension, left out', () => {
    expect(decide('2026-03-10T03:00:00Z', { automatic: { schedule: '0 1 * * *' } })).toMatchObject({ kind: 'waiting', remembered: { since: '2026-03-10T03:00:00Z' } });
    const suspended = decide('2026-03-10T03:00:00Z', { automatic: { suspend: true } });
    expect(suspended).toMatchObject({ kind: 'suspended', remembered: { lastScheduled: '2026-03-09T02:00:00Z' } });
    expect(decide('2026-03-10T04:00:00Z', { status: suspended.remembered ?? {} })).toMatchObject({ kind: 'waiting', wakeAt: Date.parse('2026-03-11T02:00:00Z') });
  });

  it.each([
    [{ schedule: '5-3 * * * *' }, 'ScheduleInvalid'],
    [{ schedule: '0 2 30 2 *' }, 'ScheduleNeverRuns'],
    [{ timeZone: 'Mars/Olympus' }, 'TimeZoneUnknown'],
  ])('says of %j that it cannot', (changed, reason) => {
    expect(decide('2026-03-10T02:00:00Z', { automatic: changed })).toMatchObject({ kind: 'refused', reason });
  });
});

describe('a run that is due while something hinders it', () => {
  it('waits for the last automatic backup, and is made once that is done', () => {
    const running = automatic('2026-03-09T02:00:00Z', 'Transferring');
    expect(decide('2026-03-10T02:00:00Z', { backups: [running] })).toMatchObject({ kind: 'held', reason: 'PreviousRuns', remembered: { lastScheduled: '2026-03-09T02:00:00Z' } });
    expect(decide('2026-03-10T05:00:00Z', { backups: [automatic('2026-03-09T02:00:00Z', 'Stored')] }).kind).toBe('run');
    expect(decide('2026-03-10T14:00:01Z', { backups: [running] })).toMatchObject({ kind: 'waiting', missed: { count: 1 } });
  });

  it('does not wait for manual ones', () => {
    const manual = { metadata: { name: 'm' }, spec: { trigger: 'Manual' }, status: { phase: 'Transferring' } } as unknown as Backup;
    expect(decide('2026-03-10T02:00:00Z', { backups: [manual] }).kind).toBe('run');
  });

  it('waits for the location', () => {
    expect(decide('2026-03-10T02:00:00Z', { ready: false })).toMatchObject({ kind: 'held', reason: 'LocationNotReady', wakeAt: Date.parse('2026-03-10T14:00:00Z') + 1 });
  });
});

describe('jitter', () => {
  const due = (uid: string, jitter = '1h', schedule = '0 2 * * *') =>
    decide('2026-03-10T01:00:00Z', { uid, automatic: { jitter, schedule }, status: { schedule: `${schedule} UTC`, since: '2026-03-10T00:30:00Z' } }).wakeAt ?? 0;
  const uids = Array.from({ length: 400 }, (_, index) => `policy-${index}`);

  it('is the same each time and spreads policies over the window', () => {
    const start = Date.parse('2026-03-10T02:00:00Z');
    const delays = uids.map((uid) => due(uid) - start);
    expect(uids.map((uid) => due(uid) - start)).toEqual(delays);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThan(3_600_000);
    for (let quarter = 0; quarter < 4; quarter++) expect(delays.filter((delay) => Math.floor(delay / 900_000) === quarter).length).toBeGreaterThan(60);
  });

  it('never reaches the next time', () => {
    for (const uid of uids) expect(due(uid, '1d', '*/2 * * * *') - Date.parse('2026-03-10T01:00:00Z')).toBeLessThan(240_000);
  });

  it('delays the run but not its name', () => {
    const uid = uids.find((each) => due(each) > Date.parse('2026-03-10T02:10:00Z')) ?? '';
    const world = { uid, automatic: { jitter: '1h' } };
    expect(decide('2026-03-10T02:05:00Z', world)).toMatchObject({ kind: 'waiting', wakeAt: due(uid) });
    expect(decide(new Date(due(uid)).toISOString(), world)).toMatchObject({ kind: 'run', run: { name: 'daily-202603100200' } });
  });
});
