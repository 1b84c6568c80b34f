/**
 * `make bench-report`: puts what was measured into `docs/benchmarks.md`, between its two marks, and draws `docs/benchmarks.svg`.
 *
 *     node scripts/bench/report.ts [.bench/results.json]
 *
 * The results are kept beside them as `docs/benchmarks.json`; without `.bench/results.json` they are drawn again from there.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plot } from './plot.ts';
import { loadResults, type Results } from './results.ts';
import { confinedTable, runTable, verdictTable } from './table.ts';
import { judge } from './targets.ts';

const begin = '<!-- measured: what stands between these marks is written by `make bench-report` -->';
const end = '<!-- measured: end -->';

/** The document with its measured part made anew. @throws Error where a mark is missing */
export function withMeasured(document: string, results: Results): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md must hold the lines "${begin}" and "${end}"`);
  return `${document.slice(0, from + begin.length)}\n\n${measuredText(results)}\n\n${document.slice(to)}`;
}

function measuredText(results: Results): string {
  const runs = Object.entries(results.runs).flatMap(([name, run]) => [`### ${name}`, describeRun(run), runTable(name, run)]);
  const confined = Object.entries(results.confined);
  const limits = [...new Set(confined.map(([, { limitMiB }]) => limitMiB))].join(', ');
  const memory = [
    `### Below a limit of ${limits} MiB`,
    confined.map(([name, { measuredAt, files, bytes, scale, indexedBlobs }]) => `${name}: ${count(files)} files, ${size(bytes)}${indexedBlobs === undefined ? '' : ` beside ${count(indexedBlobs)} other blobs in the index`}${share(scale)}, measured ${measuredAt.slice(0, 10)}`).join('; '),
    confinedTable(results.confined),
  ];
  return ['![Seconds of each program for each step](benchmarks.svg)', ...runs, ...(confined.length === 0 ? [] : memory), ...(judge(results).length === 0 ? [] : ['### Targets', verdictTable(results)])].join('\n\n');
}

function describeRun({ measuredAt, machine, seed, scale, rounds, files, bytes, versions }: Results['runs'][string]): string {
  const { processors, model, memoryMiB, kernel, node } = machine;
  const where = `${processors} processors (${model}), ${(memoryMiB / 1024).toFixed(0)} GiB, Linux ${kernel}, Node ${node}`;
  const programs = Object.entries(versions).map(([name, version]) => (version.startsWith(name) ? version : `${name} ${version}`));
  return `${count(files)} files, ${size(bytes)}${share(scale)}, seed ${seed}; median of ${rounds}; ${measuredAt.slice(0, 10)} on ${where}. ${programs.join(' · ')}.`;
}

function share(scale: number): string {
  return scale === 1 ? '' : ` (${scale * 100}% of the full size)`;
}

function size(bytes: number): string {
  return bytes >= 2 ** 40 ? `${(bytes / 2 ** 40).toFixed(0)} TiB` : `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

function count(files: number): string {
  return files.toLocaleString('en');
}

if (import.meta.main) {
  const checkout = join(import.meta.dirname, '..', '..');
  const docs = join(checkout, 'docs');
  const fresh = process.argv[2] ?? join(checkout, '.bench', 'results.json');
  const file = existsSync(fresh) ? fresh : join(docs, 'benchmarks.json');
  const results = loadResults(file);
  writeFileSync(join(docs, 'benchmarks.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(docs, 'benchmarks.svg'), plot(results));
  writeFileSync(join(docs, 'benchmarks.md'), withMeasured(readFileSync(join(docs, 'benchmarks.md'), 'utf8'), results));
  process.stdout.write(`docs/benchmarks.md, .json and .svg are written from ${file}\n`);
}
