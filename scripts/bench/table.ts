/** Results as Markdown. */
import { efficiencyOf, medianOf, ours, type Confined, type Quantity, type Results, type Run, type StepName } from './results.ts';
import { judge } from './targets.ts';

interface Column {
  readonly title: string;
  readonly step: StepName;
  readonly quantity: Quantity;
}

const backupColumns: readonly Column[] = [
  { title: 'first', step: 'first', quantity: 'seconds' },
  { title: 'again, unchanged', step: 'again', quantity: 'seconds' },
  { title: 'changed', step: 'changed', quantity: 'seconds' },
  { title: 'restore', step: 'restore', quantity: 'seconds' },
  { title: 'check', step: 'check', quantity: 'seconds' },
  { title: 'forget 1 of 7, prune', step: 'prune', quantity: 'seconds' },
  { title: 'repository MiB', step: 'first', quantity: 'bytes' },
  { title: 'added MiB', step: 'changed', quantity: 'bytes' },
  { title: 'CPU s first', step: 'first', quantity: 'cpuSeconds' },
  { title: 'CPU s restore', step: 'restore', quantity: 'cpuSeconds' },
  { title: 'peak MiB first', step: 'first', quantity: 'peakMiB' },
  { title: 'peak MiB restore', step: 'restore', quantity: 'peakMiB' },
];
const replicateColumns: readonly Column[] = [
  { title: 'into an empty bucket', step: 'replicate', quantity: 'seconds' },
  { title: 'again, nothing new', step: 'replicate again', quantity: 'seconds' },
  { title: 'CPU s', step: 'replicate', quantity: 'cpuSeconds' },
  { title: 'CPU s again', step: 'replicate again', quantity: 'cpuSeconds' },
  { title: 'peak MiB', step: 'replicate', quantity: 'peakMiB' },
  { title: 'requests', step: 'replicate', quantity: 'requests' },
  { title: 'requests again', step: 'replicate again', quantity: 'requests' },
];

/** One row a program; behind each number of a peer: how many times ours that is. */
export function runTable(name: string, run: Run): string {
  const columns = name === 'replicate' ? replicateColumns : backupColumns;
  const rows = Object.keys(run.programs).map((program) => [program, ...columns.map((column) => cell(run, program, column))]);
  return [
    ...markdown([name, ...columns.map(({ title }) => title)], rows),
    ...Object.entries(run.failures).map(([program, said]) => `\n${program} gave up: ${said}`),
    ...efficiencyText(run),
  ].join('\n');
}

function cell(run: Run, program: string, { step, quantity }: Column): string {
  const value = medianOf(run, program, step, quantity);
  if (value === undefined) return '–';
  const text = quantity === 'bytes' ? (value / 2 ** 20).toFixed(1) : value.toFixed(quantity === 'peakMiB' || quantity === 'requests' ? 0 : 2);
  const mine = medianOf(run, ours, step, quantity);
  return program === ours || mine === undefined || mine === 0 ? text : `${text} (×${(value / mine).toFixed(2)})`;
}

function efficiencyText(run: Run): string[] {
  const share = efficiencyOf(run);
  const { primitives } = run;
  if (share === undefined || primitives === undefined) return [];
  const parts = [
    ['chunking', primitives.chunking],
    ['SHA-256', primitives.sha256],
    ['zstd', primitives.compression],
    ['AES-CTR and Poly1305', primitives.sealing],
    ['SHA-256 of packs', primitives.packSha256],
  ] as const;
  const sum = parts.reduce((total, [, seconds]) => total + seconds, 0);
  const spent = medianOf(run, ours, 'first', 'cpuSeconds') ?? 0;
  const listed = parts.map(([name, seconds]) => `${name} ${seconds.toFixed(2)}`).join(', ');
  return [`\nCPU efficiency of ours: **${(share * 100).toFixed(0)}%** — primitives alone ${sum.toFixed(2)} CPU s (${listed}), first backup ${spent.toFixed(2)} CPU s.`];
}

export function confinedTable(confined: Readonly<Record<string, Confined>>): string {
  const rows = Object.entries(confined).flatMap(([data, { steps }]) =>
    steps.map(({ step, seconds, cpuSeconds, peakMiB, groupMiB, ended }) => [data, step, seconds.toFixed(1), cpuSeconds.toFixed(1), peakMiB.toFixed(0), groupMiB.toFixed(0), ended]),
  );
  return markdown(['data', 'step', 'seconds', 'CPU s', 'peak MiB', 'with page cache', 'ended'], rows).join('\n');
}

export function verdictTable(results: Results): string {
  const rows = judge(results).map(({ what, peer, measured, wanted, isMet }) => [what, peer, measured, wanted, isMet ? 'met' : '**missed**']);
  return markdown(['target', 'against', 'measured', 'wanted', ''], rows).join('\n');
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
}
