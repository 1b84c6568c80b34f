// docs/scale.md is written by the command that measures: one section for each size, the others stay.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Requests } from './audit.ts';
import type { Customers } from './customers.ts';
import type { MoverTime } from './mover-stages.ts';
import type { Memory } from './operator-process.ts';
import type { Storm } from './storm.ts';

const DOCUMENT = join(import.meta.dirname, '../../docs/scale.md');

export interface Start {
  readonly cachesSeconds: number;
  readonly steadySeconds: number;
  readonly cpuSeconds: number;
  readonly writes: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly memory: Memory;
}

export interface Measured {
  readonly count: number;
  readonly customers: Customers;
  readonly limit: string;
  readonly first: Start;
  readonly restart: Start;
  readonly steady: Memory;
  readonly scrape: { readonly seconds: number; readonly bytes: number };
  readonly failures: readonly string[];
  readonly storm?: Storm & { readonly requests: Requests; readonly peakMiB: number; readonly cpuSeconds: number; readonly movers: MoverTime };
}

/** Memory for a size and what it grows with, seconds to steady, requests a backup. */
const PROMISES = { memoryMiB: (policies: number) => (policies <= 100 ? 150 : 512), steadySeconds: 60, requests: 40, atOnce: 100 } as const;

export function brokenPromises({ count, restart, steady, storm }: Measured): string[] {
  const broken: string[] = [];
  const hold = (isSo: boolean, message: string): void => {
    if (!isSo) broken.push(message);
  };
  const most = PROMISES.memoryMiB(count);
  hold(restart.memory.peakMiB <= most && steady.peakMiB <= most && (storm?.peakMiB ?? 0) <= most, `memory: ${Math.max(restart.memory.peakMiB, steady.peakMiB, storm?.peakMiB ?? 0)} MiB, at the most ${most}`);
  hold(restart.steadySeconds <= PROMISES.steadySeconds, `restart to steady: ${restart.steadySeconds.toFixed(1)} s`);
  hold(restart.writes === 0, `writes after a restart: ${restart.writes}: ${[...restart.counts].map(([what, times]) => `${what} ${times}`).join(', ')}`);
  if (storm === undefined) return broken;
  hold(storm.stored === storm.due && storm.otherwise.length === 0, `stored: ${storm.stored} of ${storm.due}; ${storm.otherwise.slice(0, 5).join(', ')}`);
  hold(storm.lost.length === 0, `lost: ${storm.lost.length}, e.g. ${storm.lost[0] ?? ''}`);
  hold(storm.twice.length === 0, `not once: ${storm.twice.length}, e.g. ${storm.twice[0] ?? ''}`);
  hold(storm.mostAtOnce <= PROMISES.atOnce && storm.mostOfNamespace <= 1, `at a time: ${storm.mostAtOnce}, of one namespace ${storm.mostOfNamespace}`);
  hold(storm.requests.total / storm.due <= PROMISES.requests, `requests a backup: ${(storm.requests.total / storm.due).toFixed(1)}`);
  return broken;
}

export async function writeReport(measured: Measured): Promise<void> {
  const before = existsSync(DOCUMENT) ? await readFile(DOCUMENT, 'utf8') : HEAD;
  const sections = new Map([...before.matchAll(/<!-- (\d+) -->\n([\s\S]*?)(?=<!-- \d+ -->|$)/g)].map(([, count, text]) => [Number(count), text?.trim() ?? '']));
  sections.set(measured.count, section(measured));
  const ordered = [...sections].sort(([a], [b]) => a - b).map(([count, text]) => `<!-- ${count} -->\n${text}\n`);
  await writeFile(DOCUMENT, `${HEAD}\n${ordered.join('\n')}`);
}

const HEAD = `# Scale

Written by \`make scale\` (\`SCALE=100 make scale\` for another size); do not edit. The operator runs as a process, the bundle that is shipped, under the chart's
memory limit, against a real etcd, API server, Job controller, garbage collector and scheduler. Nodes and pods are simulated by kwok: a
mover's pod runs for some seconds and ends with a result in its termination message; no data moves, and verifications are suspended. The location's bucket and the movers' sessions are
MinIO's. All of it shares one machine, so times say more about the machine than about the operator; counts and memory are exact.
`;

function section(measured: Measured): string {
  const { count, customers, first, restart, steady, scrape, storm } = measured;
  const most = PROMISES.memoryMiB(count);
  const rows = [
    ['memory at the most during a restart', `${restart.memory.peakMiB} MiB`, `≤ ${most} MiB`],
    ['memory when steady, after a scrape of its metrics', `${steady.nowMiB} MiB`, `≤ ${most} MiB`],
    ['restart: caches filled', `${restart.cachesSeconds.toFixed(1)} s`, ''],
    ['restart: everything looked at', `${restart.steadySeconds.toFixed(1)} s (${restart.cpuSeconds.toFixed(1)} s of processor time)`, `≤ ${PROMISES.steadySeconds} s`],
    ['writes after a restart in which nothing changed', `${restart.writes}`, '0'],
    ['first start, which makes every tenant and status', `${first.steadySeconds.toFixed(1)} s, ${first.writes} writes`, ''],
    ['a scrape of its metrics', `${scrape.seconds.toFixed(2)} s, ${(scrape.bytes / 1024).toFixed(0)} KiB`, ''],
    ...(storm === undefined ? [] : stormRows(storm, most)),
  ];
  const title = `## ${thousands(count)} policies, ${thousands(customers.backups)} backups`;
  const intro = `${thousands(customers.namespaces)} namespaces; ${cpus().length} processors; ${measured.limit}; ${new Date().toISOString().slice(0, 10)}.`;
  const table = ['| what | measured | promised |', '| --- | --- | --- |', ...rows.map((row) => `| ${row.join(' | ')} |`)];
  return [title, '', intro, '', ...table, ...(storm === undefined ? [] : ['', ...requestTable(storm)])].join('\n');
}

type MeasuredStorm = NonNullable<Measured['storm']>;

function stormRows(storm: MeasuredStorm, most: number): string[][] {
  const perBackup = storm.requests.total / storm.due;
  return [
    [`a night: ${thousands(storm.due)} due in one minute, the operator killed at 40%`, `${thousands(storm.stored)} stored, ${storm.lost.length} lost, ${storm.twice.length} twice`, 'none lost, none twice'],
    ['movers at a time: of all, of one namespace', `${storm.mostAtOnce}, ${storm.mostOfNamespace}`, `≤ ${PROMISES.atOnce}, 1`],
    ['until all were stored', `${storm.seconds.toFixed(0)} s: ${(storm.due / storm.seconds).toFixed(1)} a second, movers of ${storm.movers.leastMs / 1000}–${(storm.movers.leastMs + storm.movers.spreadMs) / 1000} s`, ''],
    ['wait for a mover, median and longest: customers with one policy', `${storm.waitOfOne.median.toFixed(0)} s, ${storm.waitOfOne.most.toFixed(0)} s`, ''],
    ['the same: customers with many policies', `${storm.waitOfMany.median.toFixed(0)} s, ${storm.waitOfMany.most.toFixed(0)} s`, ''],
    ['wait of persons who asked in the middle of it', storm.askedWaited.map((wait) => `${wait.toFixed(0)} s`).join(', '), ''],
    ['API requests a backup', perBackup.toFixed(1), `≤ ${PROMISES.requests}`],
    ['memory at the most during the night', `${storm.peakMiB} MiB`, `≤ ${most} MiB`],
    ['processor time of the operator, a backup', `${((storm.cpuSeconds * 1000) / storm.due).toFixed(1)} ms`, ''],
  ];
}

function requestTable({ requests, due }: MeasuredStorm): string[] {
  const sorted = [...requests.counts].sort(([, a], [, b]) => b - a).filter(([, count]) => count / due >= 0.05);
  return ['The operator\'s requests during the night, a backup (restart and listings included; without watches and the lease):', '', '| request | a backup |', '| --- | --- |', ...sorted.map(([what, count]) => `| ${what} | ${(count / due).toFixed(2)} |`)];
}

function thousands(value: number): string {
  return value.toLocaleString('en');
}
