// Runs the program from its source, as a process of its own, as people and Jobs run it.
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

export interface ProgramRun {
  /** Exit status; 128 + the signal's number is what a shell would show for one that was killed. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly stdin?: string | Uint8Array;
  /** Goes into descriptor 3, as a key does. */
  readonly descriptor3?: string | Uint8Array;
  /** Run without the right to read what its mode forbids, which root has otherwise. */
  readonly withoutOverride?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Told the child as soon as it runs, to send it signals. */
  readonly onStart?: (child: ChildProcess) => void;
}

const OVERRIDES = '-dac_override,-dac_read_search';
/** A program that hangs must not outlive its test. */
const PATIENCE_MS = 50_000;
const MAIN = join(import.meta.dirname, '../../src/cmd/main.ts');

/** Nothing of the caller's environment reaches the program but `PATH` and `HOME`. */
export function runProcess(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramRun> {
  const { PATH, HOME } = process.env;
  return new Promise((resolve, reject) => {
    const before = [
      ...(options.withoutOverride === true && process.getuid?.() === 0 ? ['setpriv', `--bounding-set=${OVERRIDES}`, `--inh-caps=${OVERRIDES}`] : []),
      process.execPath,
      '--disable-warning=ExperimentalWarning',
    ];
    const child = spawn(before[0] ?? process.execPath, [...before.slice(1), MAIN, ...args], {
      env: { PATH, HOME, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe', options.descriptor3 === undefined ? 'ignore' : 'pipe'],
    });
    const read = (stream: NodeJS.ReadableStream | null): Buffer[] => {
      const chunks: Buffer[] = [];
      stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
      return chunks;
    };
    const [out, err] = [read(child.stdout), read(child.stderr)];
    const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(patience);
      resolve({ status: status ?? 128, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
    child.stdin?.on('error', () => undefined); // A program that ends without reading is judged by its status.
    child.stdin?.end(options.stdin);
    const third = child.stdio[3];
    if (third !== undefined && third !== null && 'end' in third) third.end(options.descriptor3);
    options.onStart?.(child);
  });
}

/** The objects that a program printed with `--json`. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
