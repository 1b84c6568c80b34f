import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Measured {
  /** Wall clock, seconds. */
  readonly seconds: number;
  /** Peak resident memory of the command and what it started, MiB. */
  readonly peakMiB: number;
}

/** ms between looks at the memory of a running command */
const lookEvery = 20;

/** Runs a command to its end; its output is shown only when it fails. */
export function measure(command: readonly string[], env: Readonly<Record<string, string>>, input?: string): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command;
    const startedAt = performance.now();
    const child = spawn(program!, args, { env: { ...process.env, ...env }, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    if (input !== undefined) child.stdin?.end(input);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (output = (output + text.toString()).slice(-4000)));
    const peaks = new Map<number, number>();
    const timer = setInterval(() => {
      if (child.pid !== undefined) look(child.pid, peaks);
    }, lookEvery);
    child.on('error', reject);
    child.on('exit', (code) => {
      const seconds = (performance.now() - startedAt) / 1000;
      clearInterval(timer);
      if (code === 0) resolve({ seconds, peakMiB: [...peaks.values()].reduce((sum, kib) => sum + kib, 0) / 1024 });
      else reject(new Error(`${command.join(' ')} ended with ${code ?? 'a signal'}:\n${output}`));
    });
  });
}

/** Notes the peak of a process and, recursively, of its children (a launcher, a pipeline). */
function look(pid: number, peaks: Map<number, number>): void {
  try {
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (peak !== undefined) peaks.set(pid, Math.max(peaks.get(pid) ?? 0, Number(peak)));
    for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')) if (child !== '') look(Number(child), peaks);
  } catch {
    // It has ended in between.
  }
}

export function bytesBelow(path: string): number {
  let bytes = 0;
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
