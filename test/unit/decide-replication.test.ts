import { describe, expect, it } from '@jest/globals';
import type { BackupLocation, ReplicationResult, ReplicationStatus } from '../../src/api/index.ts';
import { BackupLocationSpec } from '../../src/api/index.ts';
import { NO_ATTEMPT, decideReplication, decideWorkersRefused, replicationAttempt, replicationSetup, spokenTogether, workersJob, type ReplicationFacts, type ReplicationPlan } from '../../src/decide/index.ts';
import type { JobFact } from '../../src/decide/index.ts';
import { podOf } from '../support/attempt-facts.ts';

const UID = 'location-uid';
const at = (time: string): number => Date.parse(`2026-03-0${time}Z`);
const CREATED = '2026-03-01T00:00:00Z';
const TENANT = '0123456789abcdef0123456789abcdef';
const PROVEN = { kind: 'proven', reason: 'LockProven', message: 'fine' } as const;

interface Given {
  readonly status?: ReplicationStatus;
  readonly upTo?: string;
  readonly replication?: object;
  readonly annotations?: Record<string, string>;
  readonly collector?: boolean;
  readonly generation?: number;
  readonly pull?: boolean;
  readonly changed?: Partial<ReplicationFacts>;
}

function facts({ status, upTo, replication = {}, annotations = {}, collector = false, generation = 1, pull = false, changed = {} }: Given = {}): ReplicationFacts {
  const s3 = (bucket: string) => ({ bucket, credentialsSecretRef: { name: bucket } });
  const kms = { provider: 'local', local: { secretRef: { name: 'key' } } };
  const terms = { probeCredentialsSecretRef: { name: 'probe' }, replication, ...(collector ? { collectorCredentialsSecretRef: { name: 'collector' } } : {}) };
  const spec = BackupLocationSpec.parse({ s3: s3('first'), kms, ...(pull ? { pull: { from: s3('other'), ...terms } } : { replica: { kms, s3: s3('second'), ...terms } }) });
  const setup = replicationSetup(spec);
  if (setup === undefined) throw new Error('no setup');
  const metadata = { name: 'here', uid: UID, generation, creationTimestamp: CREATED, resourceVersion: '1', annotations };
  const location: BackupLocation = { apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupLocation', metadata, spec, status: { replication: status, replicatedUpTo: upTo } };
  return { location, setup, lock: PROVEN, attempt: NO_ATTEMPT, workers: new Map(), results: { state: 'notLooked' }, leftovers: [], moverNamespace: 'movers', defaultImage: 'mover:1', ...changed };
}

/** A run that began at four in the morning. */
function running(changed: Partial<ReplicationStatus> = {}): ReplicationStatus {
  const time = '2026-03-02T04:00:00Z';
  return { phase: 'Running', stage: 'Copying', schedule: '0 4 * * * UTC', since: CREATED, scheduledAt: time, windowEndsAt: '2026-03-02T10:00:00Z', shards: 2, attempt: 1, startedAt: time, attemptedAt: time, ...changed };
}

function job(status: ReplicationStatus, changed: Partial<JobFact> = {}): JobFact {
  const { name } = replicationAttempt(UID, status);
  return { name, uid: 'job', owners: [{ kind: 'BackupLocation', uid: UID }], annotations: {}, createdAt: at('2T04:00:01'), suspended: false, resumedAt: undefined, deleting: false, ended: undefined, ...changed };
}

const ended = { ended: { as: 'Complete', reason: '', message: '' } } as const;

function result(shard: number, changed: Partial<Omit<ReplicationResult, 'counts'>> & { counts?: Partial<ReplicationResult['counts']> } = {}): ReplicationResult {
  const { counts, ...rest } = changed;
  return {
    version: 1,
    task: 'replicate',
    attempt: 'a',
    uid: UID,
    runId: 'r',
    shard,
    outcome: 'succeeded',
    startedAt: '',
    finishedAt: '',
    counts: { done: 1, waiting: 0, failed: 0, diverged: 0, objects: 10, bytes: 1024, extended: 3, collected: 0, ...counts },
    tenants: [],
    findings: [],
    ...rest,
  };
}

function concluded(shards: readonly (ReplicationResult | undefined)[], given: Given = {}, now = at('2T04:30:00')): ReplicationPlan {
  const status = given.status ?? running();
  return decideReplication(facts({ ...given, status, changed: { attempt: { ...NO_ATTEMPT, job: job(status, ended) }, results: { state: 'found', shards }, ...given.changed } }), now);
}

const condition = (plan: ReplicationPlan, type: string) => plan.conditions.find((each) => each.type === type);

describe('when a copy begins', () => {
  it.each<[string, Given, string, string | undefined]>([
    ['at its time', {}, '1T04:00:00', '2026-03-01T04:00:00Z'],
    ['not before it', {}, '1T03:59:59', undefined],
    ['later, where nobody could begin it, while its window lasts', {}, '1T09:59:00', '2026-03-01T04:00:00Z'],
    ['not after its window', {}, '1T10:00:01', undefined],
    ['once', { status: { phase: 'Completed', schedule: '0 4 * * * UTC', since: CREATED, scheduledAt: '2026-03-01T04:00:00Z' } }, '1T05:00:00', undefined],
    ['the next day again', { status: { phase: 'Completed', schedule: '0 4 * * * UTC', since: CREATED, scheduledAt: '2026-03-01T04:00:00Z' } }, '2T04:00:00', '2026-03-02T04:00:00Z'],
    ['not for a time before the schedule was changed', { generation: 2 }, '1T05:00:00', undefined],
    ['in its time zone', { replication: { timeZone: 'Europe/Berlin' } }, '1T03:00:00', '2026-03-01T03:00:00Z'],
    ['not while it is suspended', { replication: { suspend: true } }, '1T04:00:00', undefined],
    ['not before the lock is proven', { changed: { lock: undefined } }, '1T04:00:00', undefined],
    ['not where what is locked could be deleted', { changed: { lock: { kind: 'refuted', reason: 'NotImmutable', message: 'It went.' } } }, '1T04:00:00', undefined],
    ['not beside an earlier Job', { changed: { leftovers: ['tbmover-old'] } }, '1T04:00:00', undefined],
    ['when a person asks', { annotations: { 'backup.dupp.de/replicate': 'now' } }, '1T12:00:00', '2026-03-01T12:00:00Z'],
    ['once for each asking', { annotations: { 'backup.dupp.de/replicate': 'now' }, status: { phase: 'Completed', requested: 'now' } }, '1T12:00:00', undefined],
    ['a second later for another asking in the second of the last one', { annotations: { 'backup.dupp.de/replicate': 'again' }, status: { phase: 'Completed', requested: 'now', scheduledAt: '2026-03-01T12:00:00Z' } }, '1T12:00:00', '2026-03-01T12:00:01Z'],
    ['yet a second later for a third', { annotations: { 'backup.dupp.de/replicate': 'once more' }, status: { phase: 'Completed', requested: 'again', scheduledAt: '2026-03-01T12:00:01Z' } }, '1T12:00:00', '2026-03-01T12:00:02Z'],
    ['at once where the clock was put back', { annotations: { 'backup.dupp.de/replicate': 'now' }, status: { phase: 'Completed', scheduledAt: '2026-03-02T12:00:00Z' } }, '1T12:00:00', '2026-03-01T12:00:00Z'],
    ['where the second data center pulls, too', { pull: true }, '1T04:00:00', '2026-03-01T04:00:00Z'],
  ])('is %s', (_, given, time, due) => {
    const { status } = decideReplication(facts(given), at(time));
    expect(status?.phase === 'Running' ? status.scheduledAt : undefined).toBe(due);
  });

  it('says for what it waits', () => {
    const { status, wakeAt } = decideReplication(facts({ changed: { lock: { kind: 'unknown', reason: 'Timeout', message: 'No answer.' } } }), at('1T04:00:00'));
    expect(status?.message).toContain('until 2026-03-01T10:00:00Z, for the proof that it cannot be deleted: No answer.');
    expect(wakeAt).toBe(at('1T04:00:10'));
  });

  it('is told before, and looked for then', () => {
    const plan = decideReplication(facts(), at('1T00:00:10'));
    expect(plan).toMatchObject({ status: { phase: 'Waiting', nextRun: '2026-03-01T04:00:00Z' }, wakeAt: at('1T04:00:00') });
    expect(condition(plan, 'Replicated')).toMatchObject({ status: 'Unknown', reason: 'NotReplicatedYet', message: expect.stringContaining('due at 2026-03-01T04:00:00Z') });
  });

  it('tells of a schedule that is none in the words of the location', () => {
    const { status } = decideReplication(facts({ replication: { schedule: '5-1 4 * * *' } }), at('1T04:00:00'));
    expect(status?.message).toContain('spec.replica.replication.schedule');
  });
});

describe('a copy under way', () => {
  it('has its workers made after it is in the status, and again where the Job is not seen', () => {
    const plan = decideReplication(facts({ status: running() }), at('2T04:00:01'));
    expect(plan.status).toMatchObject({ phase: 'Running', runId: '20260302040000-1' });
    expect(plan.before).toMatchObject([{ do: 'startWorkers', start: { completions: 2, orders: { task: 'replicate', mode: 'Push', shards: 2, runId: '20260302040000-1', windowEnd: '2026-03-02T10:00:00Z', lock: { mode: 'COMPLIANCE', retainForMs: 30 * 86_400_000 } } } }]);
  });

  it('runs as an Indexed Job of the location in the movers\' namespace, without a key, a volume or rights', () => {
    const [step] = decideReplication(facts({ status: running() }), at('2T04:00:01')).before ?? [];
    const made = step?.do === 'startWorkers' ? workersJob(step.start) : undefined;
    expect(made).toMatchObject({
      metadata: { namespace: 'movers', ownerReferences: [{ kind: 'BackupLocation', uid: UID }], labels: { 'app.kubernetes.io/component': 'mover-replicate' } },
      spec: { completions: 2, parallelism: 2, completionMode: 'Indexed', backoffLimitPerIndex: 0, activeDeadlineSeconds: 6 * 3600 + 15 * 60 - 1 },
    });
    expect(made?.spec.template.spec).toMatchObject({ automountServiceAccountToken: false, restartPolicy: 'Never' });
    expect(JSON.stringify(made)).not.toContain('kms');
    expect(made?.spec.template.spec.containers[0]?.securityContext.capabilities).toEqual({ drop: ['ALL'] });
  });

  it('tells its workers which losses a person has looked into', () => {
    const [step] = decideReplication(facts({ status: running(), annotations: { 'backup.dupp.de/released': ` ${TENANT}, nonsense` } }), at('2T04:00:01')).before ?? [];
    expect(step?.do === 'startWorkers' ? step.start.orders.released : undefined).toEqual([TENANT]);
  });

  it('reads from the first data center no faster than it is told', () => {
    const ordersWith = (replication: object) => {
      const [step] = decideReplication(facts({ status: running(), replication }), at('2T04:00:01')).before ?? [];
      return step?.do === 'startWorkers' ? step.start.orders : undefined;
    };
    expect(ordersWith({ bandwidth: '20Mi' })).toMatchObject({ bytesPerSecond: 20 * 1024 * 1024 });
    expect(ordersWith({})).not.toHaveProperty('bytesPerSecond');
  });

  it('tells how far it is, all shards together', () => {
    const status = running();
    const spoken = spokenTogether([
      { progress: { filesDone: 3, bytesDone: 100, bytesAdded: 100, at: 1 }, trouble: undefined },
      { progress: undefined, trouble: undefined },
      { progress: { filesDone: 4, bytesDone: 11, bytesAdded: 11, at: 2 }, trouble: { code: 'Timeout', message: 'no answer' } },
    ]);
    expect(spoken).toEqual({ progress: { filesDone: 7, bytesDone: 111, bytesAdded: 111, at: 2 }, trouble: { code: 'Timeout', message: 'no answer' } });
    const heard = { ...NO_ATTEMPT, spoken };
    expect(decideReplication(facts({ status, changed: { attempt: { ...heard, job: job(status) } } }), at('2T04:10:00')).status).toMatchObject({ phase: 'Running', objects: 7, bytes: 111 });
    const collecting = running({ stage: 'Collecting', objects: 9 });
    expect(decideReplication(facts({ status: collecting, changed: { attempt: { ...heard, job: job(collecting) } } }), at('2T04:10:00')).status).toMatchObject({ objects: 9, collected: 7 });
  });

  it('shows what keeps its pods from starting', () => {
    const status = running();
    const pod = { name: 'p', jobName: 'j', phase: 'Pending', reason: '', message: '', node: undefined, deleting: false, running: false, unschedulable: undefined, waiting: { reason: 'ImagePullBackOff', message: 'no such image.' }, terminated: undefined, disruption: undefined };
    const plan = decideReplication(facts({ status, changed: { attempt: { ...NO_ATTEMPT, job: job(status), pods: [pod] } } }), at('2T04:01:00'));
    expect(plan.status?.message).toMatch(/^ImageNotPullable: .*no such image/);
  });

  it('leaves a Job of its name alone that is somebody else\'s', () => {
    const status = running();
    const plan = decideReplication(facts({ status, changed: { attempt: { ...NO_ATTEMPT, job: job(status, { owners: [] }) } } }), at('2T04:01:00'));
    expect(plan.status?.message).toContain('belongs to somebody else');
    expect(plan.before).toBeUndefined();
  });

  it('asks for results once its Job has ended, and also when the Job that was seen is gone', () => {
    const status = running();
    expect(decideReplication(facts({ status, changed: { attempt: { ...NO_ATTEMPT, job: job(status, ended) } } }), at('2T04:30:00')).needsResults).toBe(true);
    const seen = running({ jobName: job(status).name });
    expect(decideReplication(facts({ status: seen }), at('2T04:30:00')).needsResults).toBe(true);
  });

  it('waits for results that cannot be read', () => {
    const plan = concluded([], { changed: { results: { state: 'unreachable', message: 'Timeout: no answer.' } } });
    expect(plan).toMatchObject({ status: { phase: 'Running', message: expect.stringContaining('Timeout') }, wakeAt: at('2T04:30:10') });
  });
});

describe('the end of a copy', () => {
  it('is not held up for good by results that never read', () => {
    const unread = (time: string) => decideReplication(facts({ status: running(), changed: { attempt: { ...NO_ATTEMPT, job: job(running(), ended) }, results: { state: 'unreachable', message: 'ResultRefused: it is malformed' } } }), at(time));
    expect(unread('2T10:59:59').status).toMatchObject({ phase: 'Running', message: expect.stringContaining('malformed') });
    expect(unread('2T11:00:00').status).toMatchObject({ phase: 'Failed', message: expect.stringContaining('malformed') });
  });

  it('is tried again, with an alarm, where another result lies in the bucket than a worker left there', () => {
    const replaced = decideReplication(facts({ status: running(), changed: { attempt: { ...NO_ATTEMPT, job: job(running(), ended) }, results: { state: 'found', shards: [undefined, result(1)], replaced: [0] } } }), at('2T04:30:00'));
    expect(replaced.status).toMatchObject({ phase: 'Running', attempt: 2, problems: ['worker 0 left another result than the one in the bucket'] });
    expect(condition(replaced, 'ReplicaDiverged')).toMatchObject({ status: 'True', message: expect.stringContaining('the result of worker 0 is not the one that it left') });

    const second = concluded([result(0), result(1)], { status: replaced.status ?? running() }, at('2T04:40:00'));
    expect(second.status).toMatchObject({ phase: 'Completed', tenantsDiverged: 0 });
    expect(condition(second, 'ReplicaDiverged')).toMatchObject({ status: 'True' });
    const tomorrow = decideReplication(facts({ status: second.status ?? running() }), at('3T04:00:00')).status ?? running();
    expect(condition(concluded([result(0), result(1)], { status: tomorrow }, at('3T04:30:00')), 'ReplicaDiverged')).toMatchObject({ status: 'False' });
  });

  it('counts for what was stored before it began', () => {
    const plan = concluded([result(0), result(1)]);
    expect(plan).toMatchObject({
      status: { phase: 'Completed', tenants: 2, tenantsDone: 2, objects: 20, bytes: 2048, extended: 6, completedAt: '2026-03-02T04:30:00Z', duration: '30m', copyRunId: '20260302040000-1', copyShards: 2 },
      replicatedUpTo: '2026-03-02T04:00:00Z',
      after: [{ do: 'clearWorkers' }],
    });
    expect(condition(plan, 'Replicated')).toMatchObject({ status: 'True', reason: 'UpToDate' });
    expect(condition(plan, 'ReplicaDiverged')).toMatchObject({ status: 'False', reason: 'NoDivergence' });
  });

  it('does not count for everything when its window left somebody waiting', () => {
    const plan = concluded([result(0), result(1, { counts: { waiting: 3 } })], { upTo: '2026-03-01T04:00:00Z' });
    expect(plan).toMatchObject({ status: { phase: 'Completed', tenantsWaiting: 3, message: expect.stringContaining('3 tenants are left') }, replicatedUpTo: '2026-03-01T04:00:00Z' });
  });

  it.each<[string, readonly (ReplicationResult | undefined)[]]>([
    ['a worker was lost', [result(0), undefined]],
    ['a worker failed for a reason that passes', [result(0), result(1, { outcome: 'failed', failure: { code: 'Timeout', message: 'no answer', retryable: true } })]],
    ['a tenant failed for a reason that passes', [result(0), result(1, { counts: { failed: 1 }, tenants: [{ tenant: TENANT, state: 'failed', snapshots: [], failure: { code: 'Unavailable', message: 'cut', retryable: true } }] })]],
  ])('is tried again when %s', (_, shards) => {
    const plan = concluded(shards);
    expect(plan).toMatchObject({ status: { phase: 'Running', attempt: 2, nextAttemptAt: '2026-03-02T04:30:10Z', attemptedAt: '2026-03-02T04:30:10Z' }, wakeAt: at('2T04:30:10'), after: [{ do: 'clearWorkers', name: job(running()).name }] });
    expect(plan.replicatedUpTo).toBeUndefined();
  });

  it.each<[string, Given, number]>([
    ['the fourth attempt', { status: running({ attempt: 4 }) }, at('2T04:30:00')],
    ['the window', {}, at('2T10:00:00')],
  ])('is a failure after %s', (_, given, now) => {
    const plan = concluded([result(0), undefined], given, now);
    expect(plan.status).toMatchObject({ phase: 'Failed', problems: ['worker 1 left no result: it was lost'] });
    expect(condition(plan, 'Replicated')).toMatchObject({ status: 'False', reason: 'NeverReplicated' });
  });

  it('is tried again when the workers that are left hang, with why, and what the others left counts', () => {
    const status = running();
    const pod = podOf({ name: 'w1', shard: 1, phase: 'Running', node: 'n', running: true, runningSince: at('2T04:00:05') });
    const patient = { ...NO_ATTEMPT, job: job(status, { annotations: { 'backup.dupp.de/stalled-after': '30m' } }), pods: [pod] };
    const decided = (changed: Partial<ReplicationFacts>) => decideReplication(facts({ status, changed: { attempt: patient, ...changed } }), at('2T04:40:00'));
    expect(decided({})).toMatchObject({ needsLogs: ['w1'] });
    const workers = new Map([['w1', { spoken: patient.spoken, lately: 'silent' as const }]]);
    expect(decided({ workers })).toMatchObject({ needsResults: true });
    const plan = decided({ workers, results: { state: 'found', shards: [result(0), undefined] } });
    expect(plan).toMatchObject({ status: { phase: 'Running', attempt: 2, message: expect.stringContaining('Attempt 1 of 4 did not do everything'), problems: [expect.stringMatching(/^Stalled: Pod w1 /)] }, after: [{ do: 'clearWorkers', name: job(status).name }] });
    expect(decided({ workers, results: { state: 'found', shards: [result(0), result(1)] } })).toMatchObject({ status: { phase: 'Completed' } });
  });

  it('is a failure at once where trying again helps nobody', () => {
    const plan = concluded([result(0, { outcome: 'failed', failure: { code: 'AccessDenied', message: 'not yours', retryable: false } }), result(1)]);
    expect(plan.status).toMatchObject({ phase: 'Failed', message: expect.stringMatching(/^AccessDenied: not yours\. Check the rights/) });
  });

  it('raises the alarm for what the first data center lost, and keeps it until a run finds nothing', () => {
    const finding = { tenant: TENANT, kind: 'Missing' as const, message: '4 snapshots are gone', count: 4, names: [] as string[] } satisfies ReplicationResult['findings'][number];
    const plan = concluded([result(0, { counts: { done: 0, diverged: 1 }, findings: [finding] }), result(1)], { upTo: '2026-03-02T03:00:00Z' });
    expect(condition(plan, 'ReplicaDiverged')).toMatchObject({ status: 'True', message: expect.stringContaining(`tenant ${TENANT}: Missing: 4 snapshots are gone`) });
    expect(plan.replicatedUpTo).toBe('2026-03-02T03:00:00Z');

    const next = decideReplication(facts({ status: plan.status ?? running() }), at('3T04:00:00'));
    expect(next.status).toMatchObject({ phase: 'Running', scheduledAt: '2026-03-03T04:00:00Z' });
    expect(condition(next, 'ReplicaDiverged')).toMatchObject({ status: 'True' });
    const after = concluded([result(0), result(1)], { status: next.status ?? running() }, at('3T04:30:00'));
    expect(condition(after, 'ReplicaDiverged')).toMatchObject({ status: 'False' });
  });

  it('goes on to collect where somebody may, and counts already', () => {
    const plan = concluded([result(0), result(1)], { collector: true });
    expect(plan).toMatchObject({ status: { phase: 'Running', stage: 'Collecting', attempt: 1 }, replicatedUpTo: '2026-03-02T04:00:00Z', again: true });
    const collecting = plan.status ?? running();
    const started = decideReplication(facts({ status: collecting, collector: true }), at('2T04:30:01')).before?.[0];
    expect(started).toMatchObject({ start: { orders: { task: 'collect', dryRun: false, runId: '20260302040000-c1' } } });
    const done = concluded([result(0, { counts: { collected: 7 } }), result(1)], { status: collecting, collector: true, upTo: '2026-03-02T04:00:00Z' });
    expect(done).toMatchObject({ status: { phase: 'Completed', collected: 7, objects: 20 }, replicatedUpTo: '2026-03-02T04:00:00Z' });
  });

  it('collects nothing while a backup of the cluster is gone that the replica counts as given up', () => {
    const expected = () => [{ tenantId: TENANT, snapshot: 'f'.repeat(64), backup: 'shop/nightly', storedAt: at('1T12:00:00') }];
    const plan = concluded([result(0, { tenants: [{ tenant: TENANT, state: 'done', snapshots: [] }] }), result(1)], { collector: true, changed: { expected } });
    expect(plan.status).toMatchObject({ phase: 'Completed', stage: 'Copying' });
    expect(condition(plan, 'ReplicaDiverged')).toMatchObject({ status: 'True', message: expect.stringContaining('shop/nightly') });
  });

  it('is a failed attempt when credentials are missing', () => {
    const refusal = { reason: 'SecretMissing', message: 'Secret second does not exist.', retryable: true };
    expect(decideWorkersRefused(facts({ status: running() }), refusal, at('2T04:00:01')).status).toMatchObject({ phase: 'Running', attempt: 2 });
    expect(decideWorkersRefused(facts({ status: running() }), { ...refusal, retryable: false }, at('2T04:00:01')).status).toMatchObject({ phase: 'Failed' });
  });
});

describe('a copy that becomes old', () => {
  const status: ReplicationStatus = { phase: 'Completed', stage: 'Copying', schedule: '0 4 * * * UTC', since: CREATED, scheduledAt: '2026-03-02T04:00:00Z', completedAt: '2026-03-02T04:30:00Z' };

  it.each([
    ['3T03:59:00', 'True', 'UpToDate'],
    ['3T12:00:01', 'False', 'ReplicaLags'],
  ])('at %s is %s', (time, is, reason) => {
    const plan = decideReplication(facts({ status: { ...status, scheduledAt: '2026-03-03T04:00:00Z' }, upTo: '2026-03-02T04:00:00Z' }), at(time));
    expect(condition(plan, 'Replicated')).toMatchObject({ status: is, reason });
  });

  it('is the same a minute later, so that nothing is written', () => {
    const first = decideReplication(facts({ status, upTo: '2026-03-02T04:00:00Z' }), at('2T12:00:00'));
    const second = decideReplication(facts({ status: first.status ?? status, upTo: '2026-03-02T04:00:00Z' }), at('2T12:01:00'));
    expect([second.status, second.conditions]).toEqual([first.status, first.conditions]);
  });
});
