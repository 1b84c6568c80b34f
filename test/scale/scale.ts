// `make scale`: the operator as a process against a real control plane with thousands of customers and simulated nodes. It measures
// memory, restarts, requests and a night in which everything is due at once, writes what it found into docs/scale.md, and fails
// where a promise was broken. SCALE= is the number of policies, STORM=no leaves the night out.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuditReader, type Requests } from './audit.ts';
import { layCustomers, type Customers } from './customers.ts';
import { OperatorProcess, type Memory } from './operator-process.ts';
import { brokenPromises, writeReport, type Measured, type Start } from './report.ts';
import { schedule, slotAfter, unscheduled, watchStorm } from './storm.ts';
import { startWorld, type World } from './world.ts';

const MOVERS = 100;
const MOVER_TIME = { leastMs: 2000, spreadMs: 2000 };
const QUIET_SECONDS = 30;
const MOST_SECONDS = 1800;

const began = performance.now();
const say = (line: string): void => console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${line}`);

async function measure(count: number, withStorm: boolean): Promise<Measured> {
  const log = join(mkdtempSync(join(tmpdir(), 'tenant-backup-scale-log-')), 'operator.log');
  say(`log of the operator: ${log}`);
  const world = await startWorld();
  try {
    const customers = await layCustomers(world.connection, count, say);
    await world.makeLocation(Math.min(MOVERS, Math.max(10, count / 10)));
    const audit = new AuditReader(world.auditLog);
    const starting = await start(world, log, audit);
    say(`first start: ${starting.start.steadySeconds.toFixed(1)} s, ${starting.start.writes} writes, ${starting.start.memory.peakMiB} MiB at the most`);
    await starting.operator.end('SIGTERM');
    const restarted = await start(world, log, audit);
    const { operator } = restarted;
    say(`restart: caches ${restarted.start.cachesSeconds.toFixed(1)} s, steady ${restarted.start.steadySeconds.toFixed(1)} s, ${restarted.start.writes} writes, ${restarted.start.memory.peakMiB} MiB at the most`);
    const scrape = await operator.scrape();
    await sleep(5000);
    const steady = operator.memory();
    say(`steady: ${steady.nowMiB} MiB; a scrape takes ${scrape.seconds.toFixed(2)} s and ${(scrape.bytes / 1024).toFixed(0)} KiB`);
    const base = { count, customers, limit: operator.limit, first: starting.start, restart: restarted.start, steady, scrape: { seconds: scrape.seconds, bytes: scrape.bytes } };
    if (!withStorm) {
      await operator.end('SIGTERM');
      return { ...base, failures: operator.failures };
    }
    return { ...base, ...(await night(world, operator, { customers, audit, log })) };
  } finally {
    await world.stop();
  }
}

/** Starts the operator and waits until it has looked at everything and been quiet for a while. */
async function start(world: World, log: string, audit: AuditReader): Promise<{ readonly operator: OperatorProcess; readonly start: Start }> {
  const mark = audit.mark();
  const operator = await OperatorProcess.start(world, log);
  const cachesSeconds = await operator.heard('the caches are filled', MOST_SECONDS);
  const steadySeconds = await operator.heard('everything has been looked at', MOST_SECONDS);
  const cpuSeconds = operator.cpuSeconds();
  await sleep(QUIET_SECONDS * 1000);
  const { writes, counts } = await audit.since(mark);
  return { operator, start: { cachesSeconds, steadySeconds, cpuSeconds, writes, counts, memory: operator.memory() } };
}

interface Night {
  readonly customers: Customers;
  readonly audit: AuditReader;
  readonly log: string;
}

/** Everything is due in one minute; in the middle of it the operator is killed and started anew. */
async function night(world: World, first: OperatorProcess, { customers, audit, log }: Night): Promise<Pick<Measured, 'storm' | 'failures'>> {
  await world.startNodes(MOVER_TIME);
  const slot = slotAfter(60_000 + customers.policies.length * 60);
  say(`everything is scheduled for ${new Date(slot).toISOString()}`);
  await schedule(world.connection, customers, slot);
  for (;;) {
    const missing = await unscheduled(world.connection, slot);
    if (missing.length === 0) break;
    if (Date.now() > slot) throw new Error(`${missing.length} policies learned of the schedule too late`);
    await sleep(2000);
  }
  say('every policy knows when');
  const mark = audit.mark();
  let operator = first;
  let before: { memory: Memory; cpuSeconds: number } | undefined;
  const restart = async (): Promise<void> => {
    before = { memory: operator.memory(), cpuSeconds: operator.cpuSeconds() };
    await operator.end('SIGKILL');
    say('the operator is killed and started anew');
    operator = await OperatorProcess.start(world, log);
  };
  const storm = await watchStorm({ connection: world.connection, customers, slot, say, at: { share: 0.4, call: restart } });
  await sleep(10_000);
  const requests: Requests = await audit.since(mark);
  const peaks = [operator.memory().peakMiB, before?.memory.peakMiB ?? 0];
  const cpuSeconds = operator.cpuSeconds() + (before?.cpuSeconds ?? 0);
  await operator.end('SIGTERM');
  return { storm: { ...storm, requests, peakMiB: Math.max(...peaks), cpuSeconds, movers: MOVER_TIME }, failures: [...first.failures, ...operator.failures] };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1)); // What was started dies with this.
const count = Number(process.env['SCALE'] ?? 10_000);
if (!Number.isInteger(count) || count < 10) throw new RangeError('SCALE must be a number of policies, 10 or more');
const measured = await measure(count, process.env['STORM'] !== 'no');
await writeReport(measured);
const broken = brokenPromises(measured);
for (const line of broken) console.error(`broken: ${line}`);
say(broken.length === 0 ? 'every promise was kept; see docs/scale.md' : `${broken.length} promises were broken; see docs/scale.md`);
process.exit(broken.length === 0 ? 0 : 1);
