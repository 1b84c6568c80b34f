/** What a benchmark leaves: one JSON file that the check, the report and the plot read. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { z } from 'zod';

/** One run of one piece of work: wall clock and processor seconds, the highest resident memory in MiB. */
const Sample = z.object({ seconds: z.number(), cpuSeconds: z.number(), peakMiB: z.number() });
export type Sample = z.infer<typeof Sample>;

/** `bytes`: of the repository after `first`; added by `changed`. `requests`: to both services, of steps between them. */
const Step = z.object({ samples: z.array(Sample), bytes: z.array(z.number()).default([]), requests: z.array(z.number()).default([]) });
export type Step = z.infer<typeof Step>;

export const stepNames = ['first', 'again', 'changed', 'restore', 'check', 'prune', 'replicate', 'replicate again'] as const;
export type StepName = (typeof stepNames)[number];

const Machine = z.object({ processors: z.number(), model: z.string(), memoryMiB: z.number(), kernel: z.string(), node: z.string() });

/** Processor seconds that each primitive alone takes for all of the data. */
const Primitives = z.object({ chunking: z.number(), sha256: z.number(), compression: z.number(), sealing: z.number(), packSha256: z.number() });
export type Primitives = z.infer<typeof Primitives>;

const Run = z.object({
  measuredAt: z.iso.datetime(),
  machine: Machine,
  seed: z.number(),
  scale: z.number(),
  rounds: z.number(),
  files: z.number(),
  bytes: z.number(),
  /** By program: what it says about its version. */
  versions: z.record(z.string(), z.string()),
  /** By program and step. */
  programs: z.record(z.string(), z.partialRecord(z.enum(stepNames), Step)),
  primitives: Primitives.optional(),
  /** Programs that gave up, and what they said. */
  failures: z.record(z.string(), z.string()).default({}),
});
export type Run = z.infer<typeof Run>;

/** A step of ours below a limit of memory; `groupMiB` counts the page cache too, which the kernel takes back near the limit. */
const ConfinedStep = z.object({ step: z.string(), seconds: z.number(), cpuSeconds: z.number(), peakMiB: z.number(), groupMiB: z.number(), ended: z.string() });
export type ConfinedStep = z.infer<typeof ConfinedStep>;

const Confined = z.object({ measuredAt: z.iso.datetime(), machine: Machine, limitMiB: z.number(), seed: z.number(), scale: z.number(), files: z.number(), bytes: z.number(), indexedBlobs: z.number().optional(), steps: z.array(ConfinedStep) });
export type Confined = z.infer<typeof Confined>;

export const Results = z.object({
  version: z.literal(1),
  /** By data. */
  runs: z.record(z.string(), Run).default({}),
  /** By data: below a limit of memory. */
  confined: z.record(z.string(), Confined).default({}),
});
export type Results = z.infer<typeof Results>;

export const ours = 'tenant-backup';

export function loadResults(file: string): Results {
  return existsSync(file) ? Results.parse(JSON.parse(readFileSync(file, 'utf8'))) : { version: 1, runs: {}, confined: {} };
}

/** Other data's results in the file stay, so that a long run may be made in parts. */
export function mergeResults(file: string, more: Partial<Pick<Results, 'runs' | 'confined'>>): void {
  const before = loadResults(file);
  const merged: Results = { version: 1, runs: { ...before.runs, ...more.runs }, confined: { ...before.confined, ...more.confined } };
  writeFileSync(file, `${JSON.stringify(merged, null, 1)}\n`);
}

export function describeMachine(): z.infer<typeof Machine> {
  return {
    processors: availableParallelism(),
    model: cpus()[0]?.model ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: execFileSync('node', ['--version'], { encoding: 'utf8' }).trim(),
  };
}

/** The middle one; of an even number of values the mean of the two. `undefined` of none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  const lower = sorted.length % 2 === 1 ? upper : sorted[middle - 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

export type Quantity = 'seconds' | 'cpuSeconds' | 'peakMiB' | 'bytes' | 'requests';

export function medianOf(run: Run, program: string, step: StepName, quantity: Quantity): number | undefined {
  const measured = run.programs[program]?.[step];
  if (measured === undefined) return undefined;
  return median(quantity === 'bytes' || quantity === 'requests' ? measured[quantity] : measured.samples.map((sample) => sample[quantity]));
}

/** What the primitives alone take, of what the first backup takes, in processor seconds; 1 would be a backup that does nothing else. */
export function efficiencyOf(run: Run): number | undefined {
  const spent = medianOf(run, ours, 'first', 'cpuSeconds');
  if (run.primitives === undefined || spent === undefined) return undefined;
  return Object.values(run.primitives).reduce((sum, seconds) => sum + seconds, 0) / spent;
}
