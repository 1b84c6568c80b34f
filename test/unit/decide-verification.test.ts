import { describe, expect, it } from '@jest/globals';
import type { Backup, BackupPolicy, BackupPolicyStatus, MoverResult } from '../../src/api/index.ts';
import { NO_ATTEMPT, decideVerification, type JobFact, type VerificationFacts, type VerificationPlan } from '../../src/decide/index.ts';
import { lineOf, type RunningMover } from '../../src/decide/queue.ts';
import { dueSlot } from '../../src/decide/verification.ts';
import { partOf, sampled } from '../../src/decide/verification-run.ts';
import { mergeConditions } from '../../src/decide/conditions.ts';
import { VERIFICATION } from '../support/verification-facts.ts';

const START = Date.parse('2030-01-01T00:00:00Z');
const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];
const iso = (time: number) => new Date(time).toISOString();

function backup(name: string, storedAt: number, odd: { readonly complete?: boolean } = {}): Backup {
  const condition = { type: 'Complete', status: odd.complete === false ? 'False' : 'True', reason: 'x', message: '', lastTransitionTime: iso(storedAt) } as const;
  return {
    apiVersion: 'x',
    kind: 'Backup',
    metadata: { name, uid: `uid-${name}`, resourceVersion: '1', generation: 1, creationTimestamp: iso(storedAt) },
    spec: { policy: 'daily', trigger: 'Manual', hold: false, cancel: false },
    status: { phase: 'Stored', completedAt: iso(storedAt), snapshotId: name.padEnd(64, '0'), conditions: [condition] },
  };
}

const verified = { snapshots: 2, packsChecked: 40, packsRead: 4, bytesRead: 1_048_576, filesCompared: 50, bytesCompared: 2048, filesTooLarge: 0, problems: 0, damagedPacks: [], affected: [] };

/** A policy whose verification is decided step by step, as the controller does. */
class Bench {
  now = START;
  status: BackupPolicyStatus = {};
  backups: readonly Backup[] = [backup('aa', START), backup('bb', START + HOUR)];
  spec: Partial<BackupPolicy['spec']> = {};
  siblings: readonly BackupPolicy[] = [];
  running: readonly RunningMover[] = [];
  locationReady = true;
  /** UID of the namespace that the tenant was made for. */
  tenantOf = 'u';
  job: JobFact | undefined;
  end: Partial<MoverResult> | undefined;
  readonly started: string[] = [];
  readonly cleared: string[] = [];
  readonly orders: unknown[] = [];

  policy(): BackupPolicy {
    return {
      apiVersion: 'x',
      kind: 'BackupPolicy',
      metadata: { name: 'daily', namespace: 'shop', uid: 'policy-uid', resourceVersion: '1', generation: 1, creationTimestamp: iso(START) },
      spec: { location: 'here', verification: VERIFICATION, mover: {}, ...this.spec } as BackupPolicy['spec'],
      status: this.status,
    };
  }

  facts(): VerificationFacts {
    const policy = this.policy();
    const ready = { type: 'Ready', status: this.locationReady ? 'True' : 'False', reason: 'Down', message: 'no' };
    const message = this.end === undefined ? undefined : JSON.stringify({ version: 1, task: 'verify', attempt: this.job?.name, uid: 'policy-uid', outcome: 'succeeded', startedAt: '', finishedAt: '', warnings: [], warningCount: 0, ...this.end });
    const pod = message === undefined ? [] : [{ name: 'p', jobName: this.job?.name ?? '', phase: 'Succeeded', reason: '', message: '', node: 'n', deleting: false, running: false, unschedulable: undefined, waiting: undefined, terminated: { exitCode: 0, reason: 'Completed', message }, disruption: undefined }];
    return {
      policy,
      backups: this.backups,
      siblings: this.siblings,
      ground: {
        namespace: { uid: 'u', terminating: false },
        policyName: 'daily',
        policy,
        location: { metadata: { name: 'here' }, spec: { s3: {}, kms: { provider: 'local', local: { secretRef: { name: 'k' } } }, mover: {} }, status: { conditions: [ready] } } as never,
        tenant: { metadata: { name: 't' }, spec: { tenantId: 'ab'.repeat(16), namespace: 'shop', namespaceUID: this.tenantOf, location: 'here' } } as never,
      },
      attempt: { ...NO_ATTEMPT, job: this.job, pods: pod },
      liveJobs: new Set(),
      queue: lineOf({ location: 'here', running: this.running, waiting: [], limit: 10 }),
      defaultImage: 'mover:1',
    };
  }

  step(): VerificationPlan {
    const plan = decideVerification(this.facts(), this.now);
    for (const each of plan.before ?? []) this.#do(each);
    const conditions = mergeConditions(this.status.conditions, [plan.condition], 1, iso(this.now));
    this.status = JSON.parse(JSON.stringify({ ...this.status, verification: plan.status, lastVerified: plan.lastVerified, conditions })) as BackupPolicyStatus;
    for (const each of plan.after ?? []) this.#do(each);
    return plan;
  }

  #do(step: NonNullable<VerificationPlan['before']>[number]): void {
    if (step.do === 'startMover') {
      const { orders, job } = step.start;
      this.started.push(job.name);
      this.orders.push(orders);
      this.job = { name: job.name, uid: `job-${job.name}`, owners: [{ kind: 'BackupPolicy', uid: 'policy-uid' }], annotations: {}, createdAt: this.now, suspended: false, resumedAt: undefined, deleting: false, ended: undefined };
    }
    if (step.do !== 'clearMover') return;
    this.cleared.push(step.name);
    this.job = undefined;
    this.end = undefined;
  }

  settle(): VerificationPlan {
    let plan = this.step();
    for (let round = 0; round < 10 && plan.again === true; round++) plan = this.step();
    return plan;
  }

  /** To the next due time, and on until its mover is there. */
  untilStarted(): void {
    const before = this.started.length;
    for (let look = 0; look < 20 && this.started.length === before; look++) {
      const { wakeAt } = this.settle();
      if (this.started.length === before) this.now = Math.max(this.now + MINUTE, wakeAt ?? 0);
    }
  }

  ends(end: Partial<MoverResult>): void {
    this.now += 5 * MINUTE;
    this.end = end;
    this.settle();
  }

  get condition() {
    return this.status.conditions?.find(({ type }) => type === 'Verified');
  }
}

describe('the times of verifications', () => {
  const policy = new Bench().policy();

  it('are a week apart, the same for a policy each week, and none before something was stored for an hour', () => {
    const stored = [backup('aa', START)];
    const { last, next } = dueSlot(policy, stored, START + 10 * MINUTE);
    expect(last).toBeUndefined();
    expect(next).toBeGreaterThanOrEqual(START + HOUR);
    expect(next).toBeLessThan(START + HOUR + 7 * DAY);
    const first = dueSlot(policy, stored, (next ?? 0) + 1);
    expect(first).toEqual({ last: next, next: (next ?? 0) + 7 * DAY });
    expect(dueSlot(policy, stored, (next ?? 0) + 7 * DAY - 1)).toEqual(first);
  });

  it('spread over the week', () => {
    const minutes = Array.from({ length: 700 }, (_, index) => {
      const other = { ...policy, metadata: { ...policy.metadata, uid: `uid-${index}` } };
      return Math.floor((((dueSlot(other, [backup('aa', START - 30 * DAY)], START).last ?? 0) - START + 7 * DAY) / DAY) % 7);
    });
    const perDay = Array.from({ length: 7 }, (_, day) => minutes.filter((each) => each === day).length);
    expect(Math.min(...perDay)).toBeGreaterThan(60);
  });

  it('are none without a good backup', () => {
    expect(dueSlot(policy, [backup('aa', START, { complete: false })], START + 30 * DAY)).toEqual({ last: undefined, next: undefined });
  });
});

describe('what is read', () => {
  it('is another part each time, and all of it in as many runs as the share says', () => {
    const policy = new Bench().policy();
    expect(Array.from({ length: 11 }, (_, run) => partOf(policy, [], run).part)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1]);
    expect(partOf({ ...policy, spec: { ...policy.spec, verification: { ...VERIFICATION, readDataPercent: 30 } } }, [], 4)).toEqual({ part: 1, of: 4 });
  });

  it('is shared by the policies of one repository: together they read all of it once, in as many runs as one of them alone would', () => {
    const policy = new Bench().policy();
    const named = (uid: string, suspend = false): BackupPolicy => ({ ...policy, metadata: { ...policy.metadata, uid }, spec: { ...policy.spec, verification: { ...VERIFICATION, readDataPercent: 25, suspend } } });
    const all = ['a', 'b', 'c'].map((uid) => named(uid));
    const parts = all.flatMap((each) => [0, 1, 2, 3].map((run) => partOf(each, [...all.filter((other) => other !== each), named('d', true)], run)));
    expect(parts.map(({ part }) => part).sort((x, y) => x - y)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(new Set(parts.map(({ of }) => of))).toEqual(new Set([12]));
    expect(partOf({ ...named('a'), spec: { ...policy.spec, verification: { ...VERIFICATION, readDataPercent: 1 } } }, all.slice(1), 300)).toMatchObject({ of: 256 });
  });

  it('is also what a policy of the same repository found damaged', () => {
    const bench = new Bench();
    const sibling = bench.policy();
    bench.siblings = [{ ...sibling, metadata: { ...sibling.metadata, uid: 'other' }, status: { verification: { phase: 'Completed', scheduledAt: iso(START), run: 0, attempt: 1, damagedPacks: ['ab'.repeat(32)] } } }];
    bench.untilStarted();
    expect(bench.orders[0]).toMatchObject({ damagedPacks: ['ab'.repeat(32)] });
  });

  it('is tried on the newest backup every other time, and on the others in turn', () => {
    const backups = ['c3', 'b2', 'a1'].map((name, index) => backup(name, START - index * DAY));
    expect(Array.from({ length: 6 }, (_, run) => sampled(backups, run)?.metadata.name)).toEqual(['c3', 'b2', 'c3', 'a1', 'c3', 'b2']);
    expect(sampled([backup('only', START)], 1)?.metadata.name).toBe('only');
  });
});

describe('a verification', () => {
  it('is queued, runs and says what was found sound', () => {
    const bench = new Bench();
    expect(bench.settle().condition).toMatchObject({ status: 'Unknown', reason: 'NotVerifiedYet' });
    bench.untilStarted();
    expect(bench.started[0]).toMatch(/^tbmover-[0-9a-f]{20}-\d+1$/);
    expect(bench.orders[0]).toMatchObject({ task: 'verify', readData: { part: 1, of: 10 }, damagedPacks: [], scratch: '/scratch', sample: { backup: 'bb', files: 50, bytes: Math.floor(2 ** 30 * 0.8) } });
    bench.ends({ verify: verified });
    expect(bench.condition).toMatchObject({ status: 'True', reason: 'Sound', message: expect.stringMatching(/2 snapshots and 40 packs, 4 of them read back \(1\.0 MiB, part 1\/10 of the data\); 50 files .* of Backup bb were restored/) });
    expect(bench.status.lastVerified).toBe(iso(bench.now).replace(/\.\d+/, ''));
    expect(bench.status.verification).toMatchObject({ phase: 'Completed', run: 1, packs: 40, packsRead: 4 });
    expect(bench.cleared).toEqual([bench.started[0]]);
  });

  it('writes nothing more until the next time', () => {
    const bench = new Bench();
    bench.untilStarted();
    bench.ends({ verify: verified });
    const after = JSON.stringify(bench.status);
    for (let hour = 0; hour < 100; hour++) {
      bench.now += HOUR;
      bench.settle();
    }
    expect(JSON.stringify(bench.status)).toBe(after);
    bench.untilStarted();
    expect(bench.started.length).toBe(2);
    expect(bench.orders[1]).toMatchObject({ readData: { part: 2, of: 10 }, sample: { backup: 'aa' } });
    expect(bench.started[1]).not.toBe(bench.started[0]);
  });

  it('that finds damage names backups and files, and looks at the same again until it is mended', () => {
    const bench = new Bench();
    bench.untilStarted();
    const affected = [{ snapshotId: 'aa'.padEnd(64, '0'), files: 2, paths: ['/volumes/data/a', '/volumes/data/b'] }];
    const found = { ...verified, problems: 1, damagedPacks: ['ee'.repeat(32)], affected };
    bench.ends({ verify: found, warnings: ['Pack eeee is damaged.'], warningCount: 1 });
    expect(bench.condition).toMatchObject({ status: 'False', reason: 'DamageFound', message: expect.stringMatching(/Pack eeee is damaged\. These backups cannot be restored whole: aa \(2 files: \/volumes\/data\/a, \/volumes\/data\/b\)/) });
    expect(bench.status).toMatchObject({ verification: { run: 0, findings: ['Pack eeee is damaged.'], damagedBackups: [expect.stringContaining('aa (2 files')] } });
    expect(bench.status.lastVerified).toBeUndefined();
    bench.untilStarted();
    expect(bench.condition?.reason).toBe('DamageFound');
    expect(bench.orders[1]).toMatchObject({ readData: { part: 1, of: 10 }, damagedPacks: ['ee'.repeat(32)], sample: { backup: 'bb', seed: (bench.orders[0] as { sample: { seed: string } }).sample.seed } });
    bench.ends({ verify: verified });
    expect(bench.condition?.status).toBe('True');
    expect(bench.status.verification?.findings).toBeUndefined();
    expect(bench.status.verification?.damagedPacks).toBeUndefined();
  });

  it('that fails is tried again, and then at the next time; the condition says why', () => {
    const bench = new Bench();
    bench.untilStarted();
    const failure = (retryable: boolean) => ({ outcome: 'failed' as const, failure: { code: retryable ? 'Throttled' : 'KeyDisabled', message: 'The key is disabled.', retryable } });
    bench.ends(failure(true));
    expect(bench.status.verification).toMatchObject({ phase: 'Queued', attempt: 2 });
    bench.untilStarted();
    expect(bench.started[1]).toMatch(/2$/);
    bench.ends(failure(false));
    expect(bench.condition).toMatchObject({ status: 'False', reason: 'KeyDisabled', message: expect.stringMatching(/could not be verified: The key is disabled/) });
    expect(bench.status.verification?.phase).toBe('Failed');
    expect(bench.started.length).toBe(2);
  });

  it('waits for whatever else the namespace has, and says so', () => {
    const bench = new Bench();
    bench.running = [{ uid: 'x', task: 'backup', namespace: 'shop', location: 'here', safetyFor: undefined }];
    bench.untilStarted();
    expect(bench.started).toEqual([]);
    expect(bench.status.verification).toMatchObject({ phase: 'Queued', message: 'Another backup of this namespace runs; this starts when it has ended.' });
  });

  it('that lacks something stands in the way of nobody, and is looked at again each hour', () => {
    const bench = new Bench();
    bench.running = [{ uid: 'x', task: 'backup', namespace: 'shop', location: 'here', safetyFor: undefined }];
    bench.untilStarted();
    bench.tenantOf = 'an earlier namespace';
    bench.running = [];
    bench.now += MINUTE;
    const { wakeAt } = bench.settle();
    expect(bench.status.verification).toMatchObject({ phase: 'Queued', message: expect.stringContaining('TenantForeign') });
    expect(Date.parse(bench.status.verification?.nextAttemptAt ?? '')).toBe(wakeAt);
    expect(wakeAt).toBe(bench.now + 60 * MINUTE);
    bench.tenantOf = 'u';
    bench.untilStarted();
    expect(bench.started).toHaveLength(1);
    expect(bench.status.verification?.nextAttemptAt).toBeUndefined();
  });

  it.each([
    ['is suspended', (bench: Bench) => void (bench.spec = { verification: { ...VERIFICATION, suspend: true } }), /suspend is true/],
    ['finds its location down', (bench: Bench) => void (bench.locationReady = false), /was never verified, and it should be every 7d/],
  ])('that %s is overdue in the end', (_, hinder, says) => {
    const bench = new Bench();
    hinder(bench);
    bench.now = START + 10 * DAY;
    expect(bench.settle().condition.reason).toBe('NotVerifiedYet');
    bench.now = START + 11 * DAY;
    expect(bench.settle().condition).toMatchObject({ status: 'False', reason: 'VerificationOverdue', message: expect.stringMatching(says) });
    expect(bench.started).toEqual([]);
  });

  it('that was found sound once is overdue half a week after the next was due', () => {
    const bench = new Bench();
    bench.untilStarted();
    bench.ends({ verify: verified });
    bench.locationReady = false;
    bench.now += 10 * DAY;
    expect(bench.settle().condition.status).toBe('True');
    bench.now += DAY;
    expect(bench.settle().condition).toMatchObject({ status: 'False', reason: 'VerificationOverdue', message: expect.stringMatching(/last verified at 2030-/) });
  });

  it('goes on where a crash left it: each step decided again repeats nothing', () => {
    const bench = new Bench();
    bench.now = (dueSlot(bench.policy(), bench.backups, START + 8 * DAY).last ?? 0) + 1;
    for (let round = 0; round < 3; round++) bench.step();
    expect(bench.started.length).toBe(1);
    const [name] = bench.started;
    // The Job is there, and the status does not know of it yet.
    expect(bench.status.verification?.jobName).toBeUndefined();
    bench.step();
    expect(bench.started).toEqual([name]);
    expect(bench.status.verification?.jobName).toBe(name);
  });
});

describe('the queue', () => {
  const mover = (uid: string, task: RunningMover['task'], namespace = 'shop') => ({ uid, name: uid, task, namespace, location: 'here', safetyFor: undefined, queuedAt: '2030-01-01T00:00:00Z', automatic: task !== 'restore' });

  it('serves verifications last, though they came first', () => {
    const waiting = [{ ...mover('v', 'verify'), queuedAt: '2029-01-01T00:00:00Z' }, mover('b', 'backup', 'other')];
    const line = lineOf({ location: 'here', running: [], waiting, limit: 1 });
    expect([...line.places()].map(({ mover: { uid }, admission }) => [uid, admission.admitted])).toEqual([['b', true], ['v', false]]);
  });

  it.each([
    ['backup', true],
    ['restore', true],
    ['forget', false],
    ['verify', false],
  ] as const)('lets a %s of the namespace start beside one: %s', (task, admitted) => {
    const line = lineOf({ location: 'here', running: [mover('v', 'verify')], waiting: [], limit: 10 });
    expect(line.admit(mover('x', task)).admitted).toBe(admitted);
  });
});
