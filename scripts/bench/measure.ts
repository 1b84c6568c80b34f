import { spawn } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import type { Sample } from './results.ts';

export type Command = readonly string[];

const checkout = join(import.meta.dirname, '..', '..');
/** ms between looks at the memory of a running command */
const lookEvery = 10;

/** bash counts what the command and all that it waited for used, to the millisecond; it tells on a descriptor of its own. */
const timed = 'TIMEFORMAT="%3R %3U %3S"; exec 4>&2 2>&3; time "$@" 2>&4 3>&- 4>&-';

export interface Measured extends Sample {
  /** What the command wrote to its standard output. */
  readonly output: string;
}

/** A command that ended with another status than 0. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  /** The end of what it said, in one line and without the folders of this machine: fit for a report. */
  readonly said: string;

  constructor(command: Command, status: number | null, said: string) {
    super(`${command.join(' ')} ended with ${status ?? 'a signal'}:\n${said.slice(-4000)}`);
    this.said = said.replaceAll(checkout, '').replaceAll(/\s+/g, ' ').trim().slice(-300);
  }
}

/** For reports: what a failure says, without the folders of this machine. */
export function saidBy(error: unknown): string {
  if (error instanceof CommandFailed) return error.said;
  return error instanceof Error ? error.message : String(error);
}

/** Runs a command to its end. @throws CommandFailed */
export async function measure(command: Command, env: Readonly<Record<string, string>> = {}): Promise<Measured> {
  const child = spawn('/bin/bash', ['-c', timed, 'measure', ...command], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const peaks = new Map<number, number>();
  const timer = setInterval(() => {
    if (child.pid !== undefined) look(child.pid, peaks, child.pid);
  }, lookEvery);
  try {
    const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
    const [status, output, said, times] = await Promise.all([ended, text(child.stdout!), text(child.stderr!), text(child.stdio[3] as Readable)]);
    if (status !== 0) throw new CommandFailed(command, status, output + said);
    const [seconds = 0, user = 0, system = 0] = times.trim().split(' ').map(Number);
    return { seconds, cpuSeconds: user + system, peakMiB: [...peaks.values()].reduce((sum, kib) => sum + kib, 0) / 1024, output };
  } finally {
    clearInterval(timer);
  }
}

/** Several commands that do one piece of work together: times add up, the highest peak counts. */
export async function measureAll(commands: readonly Command[], env: Readonly<Record<string, string>>): Promise<Sample> {
  let sum: Sample = { seconds: 0, cpuSeconds: 0, peakMiB: 0 };
  for (const command of commands) {
    const { seconds, cpuSeconds, peakMiB } = await measure(command, env);
    sum = { seconds: sum.seconds + seconds, cpuSeconds: sum.cpuSeconds + cpuSeconds, peakMiB: Math.max(sum.peakMiB, peakMiB) };
  }
  return sum;
}

/** Notes the peak of what a process started (a launcher, a pipeline); not of the shell that measures. */
function look(pid: number, peaks: Map<number, number>, shell: number): void {
  try {
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (peak !== undefined && pid !== shell) peaks.set(pid, Math.max(peaks.get(pid) ?? 0, Number(peak)));
    for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')) if (child !== '') look(Number(child), peaks, shell);
  } catch {
    // It has ended in between.
  }
}

/** Regular files below a directory, and the sum of their lengths. */
export function sizeBelow(path: string): { readonly files: number; readonly bytes: number } {
  let files = 0;
  let bytes = 0;
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    bytes += lstatSync(join(entry.parentPath, entry.name)).size;
  }
  return { files, bytes };
}
