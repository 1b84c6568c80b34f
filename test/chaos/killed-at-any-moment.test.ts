// The operator is killed right after its k-th write, for every k of a backup and of a restore in place; it is started again, and
// each run must end as an undisturbed one does: same status, one snapshot, one Job an attempt, nothing left behind.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLUSTER } from '../ground/layout.ts';
import { keysBelow, tenantIdOf } from '../support/bucket.ts';
import { apply, environment, getObject, kubectl, waitFor, waitForCondition, type OurKind, type StatusLike } from '../support/cluster.ts';
import { backupObject, locationObjects, makeCustomer, removeCustomer, restoreObject } from '../support/customer.ts';
import { HostOperator, stopChartOperator } from '../support/host-operator.ts';
import { KillingProxy } from '../support/killing-proxy.ts';

const NAME = 'chaos-killed';
const DIRECTORY = join(CLUSTER, 'chaos', NAME);
const FILE = join(DIRECTORY, 'ledger.bin');
const EXTRA = join(DIRECTORY, 'extra.bin');
const CONTENT = randomBytes(300_000);
const ENDED = ['Stored', 'Succeeded', 'Failed', 'Rejected', 'Cancelled'];
// Each test goes on until a run had fewer writes than k. How many that are differs a little: progress is written when there is some.
/** A run that writes more often than this runs wild. */
const MOST_WRITES = 60;
const RUN_SECONDS = 90;
const TEST_MS = 15 * 60_000;

let proxy: KillingProxy;
let operator: HostOperator;
let startChartOperator: () => Promise<void>;
let tenantId: string;

beforeAll(async () => {
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(FILE, CONTENT);
  startChartOperator = await stopChartOperator();
  proxy = new KillingProxy(environment()['KUBECONFIG'] ?? '');
  operator = await HostOperator.prepare(await proxy.start());
  operator.start();
  await apply(locationObjects(NAME));
  await waitForCondition('bl', NAME, undefined, { type: 'Ready', status: 'True' });
  await makeCustomer({ namespace: NAME, location: NAME, volumes: { data: DIRECTORY }, workload: 'app', policySpec: { quota: { maxBackups: 100 } } });
  await waitForCondition('bp', 'daily', NAME, { type: 'Ready', status: 'True' });
  await kubectl(['-n', NAME, 'rollout', 'status', 'deployment/app', '--timeout=60s']);
  tenantId = await tenantIdOf(NAME);
}, TEST_MS);

afterAll(async () => {
  if (!operator.isRunning) operator.start();
  await removeCustomer(NAME, ['data']);
  await kubectl(['delete', 'bl', NAME, '--ignore-not-found']);
  await operator.remove();
  await proxy.stop();
  await startChartOperator();
  rmSync(DIRECTORY, { recursive: true, force: true });
}, TEST_MS);

interface Run {
  /** Whether the operator was killed, or had fewer writes to make. */
  readonly killed: boolean;
  readonly writes: readonly string[];
  /** Names of the Jobs that were made, each as often as it was. */
  readonly jobs: readonly string[];
  readonly object: StatusLike;
}

/** Applies the object, kills the operator after its k-th write, starts it again, and waits until the work has ended and nothing is left of it. */
async function runKilled(k: number, kind: OurKind, name: string, object: object): Promise<Run> {
  const fate = { killed: false };
  if (!operator.isRunning) operator.start();
  proxy.arm(k, () => {
    fate.killed = true;
    operator.kill();
  });
  await apply([object]);
  let last: StatusLike | undefined;
  try {
    await waitFor(`${kind} ${name} to end, killed after write ${k}`, RUN_SECONDS, async () => {
      if (fate.killed && !operator.isRunning) operator.start();
      last = await getObject<StatusLike>(kind, name, NAME);
      if (!ENDED.includes(last?.status?.phase ?? '')) return false;
      return (await kubectl(['get', 'jobs,secrets', '-n', NAME, '-o', 'name'])) === '';
    });
  } catch (error) {
    throw new Error(`after writes ${proxy.writes.join(', ')}: ${JSON.stringify(last?.status)}`, { cause: error });
  }
  // What comes after the end (counts in other statuses) belongs to this run too.
  await new Promise((resolve) => setTimeout(resolve, 400));
  const [writes, jobs] = [[...proxy.writes], [...proxy.jobs]];
  proxy.arm(Infinity, () => undefined);
  if (fate.killed && !operator.isRunning) operator.start();
  last = await getObject<StatusLike>(kind, name, NAME);
  if (last === undefined) throw new Error(`${kind} ${name} is gone`);
  return { killed: fate.killed, writes, jobs, object: last };
}

async function snapshots(): Promise<number> {
  return (await keysBelow(`${NAME}/tenants/${tenantId}/g1/snapshots`)).length;
}

/** What must be the same whatever happened on the way. */
function essence({ status, metadata }: StatusLike): unknown {
  const { phase, conditions, attempt, files, bytesProcessed, volumes, copyMethod, keyGeneration, filesRestored, filesDeleted, unreadable, workload } = status ?? {};
  return {
    phase,
    conditions: conditions?.map(({ type, status: holds, reason }) => `${type}=${holds} ${reason}`).sort(),
    attempt,
    files,
    bytesProcessed,
    volumes,
    copyMethod,
    keyGeneration,
    filesRestored,
    filesDeleted,
    unreadable,
    scaledDown: (workload as { scaledDown?: boolean } | undefined)?.scaledDown,
    finalizers: metadata.finalizers,
  };
}

/** How many Jobs there were; their names in words when one was made twice or an attempt was repeated. */
function oneJobAnAttempt(jobs: readonly string[]): number | string {
  return new Set(jobs).size === jobs.length && jobs.every((name) => name.endsWith('-1')) ? jobs.length : jobs.join(', ');
}

async function replicas(): Promise<string> {
  return kubectl(['-n', NAME, 'get', 'deployment', 'app', '-o', 'jsonpath={.spec.replicas}']);
}

describe('an operator that is killed after its k-th write', () => {
  it('ends every backup as an undisturbed one ends', async () => {
    const undisturbed = await runKilled(Infinity, 'bk', 'undisturbed', backupObject(NAME, 'undisturbed', 'daily'));
    expect(undisturbed.object.status?.phase).toBe('Stored');
    expect(undisturbed.jobs).toHaveLength(1);
    process.stdout.write(`a backup takes ${undisturbed.writes.length} writes: ${undisturbed.writes.join(', ')}\n`);

    let kills = 0;
    for (let k = 1; k <= MOST_WRITES; k += 1) {
      const before = await snapshots();
      const run = await runKilled(k, 'bk', `killed-${k}`, backupObject(NAME, `killed-${k}`, 'daily'));
      expect({ k, ...(essence(run.object) as object) }).toEqual({ k, ...(essence(undisturbed.object) as object) });
      expect({ k, jobs: oneJobAnAttempt(run.jobs), snapshots: (await snapshots()) - before }).toEqual({ k, jobs: 1, snapshots: 1 });
      if (!run.killed) break;
      kills += 1;
    }
    process.stdout.write(`killed ${kills} times in a backup\n`);
    expect(kills).toBeGreaterThanOrEqual(undisturbed.writes.length / 2);
    expect(kills).toBeLessThan(MOST_WRITES);
  }, TEST_MS);

  it('ends every restore in place as an undisturbed one ends, the workload running as before', async () => {
    const restoreDamaged = async (k: number, name: string): Promise<Run> => {
      writeFileSync(FILE, randomBytes(1000));
      writeFileSync(EXTRA, randomBytes(10));
      return runKilled(k, 'brs', name, restoreObject(NAME, name, 'source'));
    };
    await runKilled(Infinity, 'bk', 'source', backupObject(NAME, 'source', 'daily'));
    const undisturbed = await restoreDamaged(Infinity, 'restore-undisturbed');
    expect(undisturbed.object.status?.phase).toBe('Succeeded');
    expect(undisturbed.jobs).toHaveLength(2);
    process.stdout.write(`a restore takes ${undisturbed.writes.length} writes: ${undisturbed.writes.join(', ')}\n`);

    let kills = 0;
    for (let k = 1; k <= MOST_WRITES; k += 1) {
      const before = await snapshots();
      const run = await restoreDamaged(k, `restore-${k}`);
      expect({ k, ...(essence(run.object) as object) }).toEqual({ k, ...(essence(undisturbed.object) as object) });
      // One snapshot: the safety backup's.
      expect({ k, jobs: oneJobAnAttempt(run.jobs), snapshots: (await snapshots()) - before, replicas: await replicas() }).toEqual({ k, jobs: 2, snapshots: 1, replicas: '1' });
      expect(readFileSync(FILE).equals(CONTENT)).toBe(true);
      expect(() => readFileSync(EXTRA)).toThrow(/ENOENT/);
      if (!run.killed) break;
      kills += 1;
    }
    process.stdout.write(`killed ${kills} times in a restore\n`);
    expect(kills).toBeGreaterThanOrEqual(undisturbed.writes.length / 2);
    expect(kills).toBeLessThan(MOST_WRITES);
  }, TEST_MS);
});
