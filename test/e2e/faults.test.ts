// One table: what goes wrong, what a person then reads, and how soon. Afterwards nothing is left of it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { apply, conditionOf, getObject, kubectl, listObjects, waitFor, waitForCondition, type ConditionLike, type StatusLike } from '../support/cluster.ts';
import { locationObjects } from '../support/customer.ts';
import { BAD_INPUT } from './faults/bad-input.ts';
import { Place, SHARED_LOCATION, SLOW_LOCATION, SLOW_MOVER, type Fault } from './faults/fault.ts';
import { FAULTS_OF_ALL, MOVER_FAULTS } from './faults/mover-faults.ts';
import { locksBelow } from './faults/tampering.ts';

/** Each row waits far more than it works. */
const AT_ONCE = 5;

interface Seen {
  readonly seconds: number;
  readonly condition: ConditionLike;
  readonly event: string;
}

async function runRow(fault: Fault): Promise<Seen> {
  const place = new Place(fault.id);
  const namespace = fault.shows.kind === 'bl' || fault.shows.kind === 'bt' ? undefined : place.namespace;
  try {
    await fault.arrange?.(place);
    const startedAt = performance.now();
    const name = (await fault.strike(place)) ?? fault.shows.name;
    const condition = await shown(fault, name, namespace);
    const seconds = (performance.now() - startedAt) / 1000;
    const event = fault.withoutEvent === true ? '' : await eventAbout(name, fault.reason);
    await fault.mend?.(place);
    await place.settle(fault.beyondForgetting === true);
    return { seconds, condition, event };
  } finally {
    await place.remove();
  }
}

/** Twice the time that is allowed, so that a slow answer is told apart from a wrong one. */
async function shown(fault: Fault, name: string, namespace: string | undefined): Promise<ConditionLike> {
  const { kind, condition: type } = fault.shows;
  let last: ConditionLike | undefined;
  try {
    return await waitFor(fault.reason, fault.within * 2, async () => {
      last = conditionOf(await getObject<StatusLike>(kind, name, namespace), type);
      return last?.reason === fault.reason ? last : undefined;
    });
  } catch (error) {
    throw new Error(`${fault.fault}: ${type} of ${kind} ${name} never said ${fault.reason}; it says ${JSON.stringify(last ?? 'nothing')}`, { cause: error });
  }
}

async function eventAbout(name: string, reason: string): Promise<string> {
  return waitFor(`an event ${reason} about ${name}`, 10, async () => {
    const [first] = await listObjects<{ message?: string; involvedObject: { name: string }; reason: string }>('events', undefined).then((events) =>
      events.filter((event) => event.reason === reason && event.involvedObject.name === name),
    );
    return first?.message;
  });
}

/** Starts the rows, some at a time; each test then waits for its own. */
function startAll(faults: readonly Fault[]): Map<string, Promise<Seen>> {
  const waiting = [...faults];
  const settle = new Map<string, { resolve: (seen: Seen) => void; reject: (error: unknown) => void }>();
  const runs = new Map(
    faults.map(({ id }) => {
      const { promise, resolve, reject } = Promise.withResolvers<Seen>();
      promise.catch(() => undefined);
      settle.set(id, { resolve, reject });
      return [id, promise] as const;
    }),
  );
  const work = async (): Promise<void> => {
    for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
      const ends = settle.get(fault.id);
      await runRow(fault).then(ends?.resolve, ends?.reject);
    }
  };
  for (let i = 0; i < AT_ONCE; i++) void work();
  return runs;
}

/** Rows that take longest come first. */
const together = [...MOVER_FAULTS, ...BAD_INPUT];
const lines: string[] = [];
let runs = new Map<string, Promise<Seen>>();

function check(fault: Fault, seen: Seen): void {
  lines.push(`| ${fault.fault} | ${seen.condition.reason} | ${seen.seconds.toFixed(1)} | ${seen.condition.message.replaceAll('|', '\\|')} |`);
  expect(seen.condition.message).toMatch(fault.message);
  if (fault.withoutEvent !== true) expect(seen.event).toMatch(fault.message);
  expect(seen.seconds).toBeLessThanOrEqual(fault.within);
}

/** What a run that was broken off left behind. */
async function clear(): Promise<void> {
  const named = (await kubectl(['get', 'namespaces,persistentvolumes,bl', '-o', 'name'])).split('\n').filter((name) => /\/fault-/.test(name));
  if (named.length > 0) await kubectl(['delete', ...named, '--ignore-not-found', '--timeout=90s']);
}

beforeAll(async () => {
  await clear();
  await apply([
    ...locationObjects(SHARED_LOCATION),
    ...locationObjects(SLOW_LOCATION, { mover: SLOW_MOVER }),
  ]);
  for (const location of [SHARED_LOCATION, SLOW_LOCATION]) await waitForCondition('bl', location, undefined, { type: 'Ready', status: 'True' }, 30);
}, 180_000);

afterAll(async () => {
  process.stdout.write(`\n| fault | reason | seconds | message |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`);
  await kubectl(['delete', 'bl', SHARED_LOCATION, SLOW_LOCATION, '--ignore-not-found', '--timeout=30s']);
});

describe('a person sees what is wrong while it is', () => {
  beforeAll(() => {
    runs = startAll(together);
  });

  it.each(together.map((fault) => [fault.fault, fault] as const))('%s', async (_, fault) => {
    const seen = await runs.get(fault.id);
    expect(seen).toBeDefined();
    if (seen !== undefined) check(fault, seen);
  }, 900_000);
});

describe('what hits everybody', () => {
  it.each(FAULTS_OF_ALL.map((fault) => [fault.fault, fault] as const))('%s', async (_, fault) => {
    await Promise.allSettled(runs.values());
    check(fault, await runRow(fault));
  }, 240_000);
});

describe('afterwards', () => {
  it('no Job, pod, Secret, volume, lock or finalizer is left', async () => {
    await Promise.allSettled(runs.values());
    const rows = [...together, ...FAULTS_OF_ALL].map(({ id }) => `fault-${id}`);
    const left = (await kubectl(['get', 'namespaces,persistentvolumes', '-o', 'name'])).split('\n').filter((name) => rows.some((row) => name.includes(row)));
    expect(left).toEqual([]);
    for (const kind of ['jobs', 'pods', 'secrets', 'backups.backup.dupp.de', 'restores.backup.dupp.de']) {
      const objects = await listObjects<StatusLike>(kind);
      expect(objects.filter(({ metadata }) => metadata.namespace?.startsWith('fault-')).map(({ metadata }) => metadata.name)).toEqual([]);
    }
    for (const location of [SHARED_LOCATION, SLOW_LOCATION, ...rows]) expect(await locksBelow(location)).toEqual([]);
  });
});
