// Running other programs to their end: captured output, input through a pipe, errors that carry what the program said.
import { spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to standard input, which is closed otherwise. Secrets go here, never into arguments. */
  readonly input?: string | Uint8Array;
  /** A file that gets both outputs, for long builds; the error then names the file. */
  readonly log?: string;
}

/** A program that ended with another status than 0, or could not be started. */
export class ProgramFailed extends Error {
  override readonly name = 'ProgramFailed';
  readonly status: number | undefined;

  constructor(command: string, status: number | undefined, said: string) {
    super(`${command} ${status === undefined ? 'could not be run' : `ended with status ${status}`}: ${said.trim()}`);
    this.status = status;
  }
}

/** Runs a program and returns its standard output. @throws ProgramFailed with the end of its error output. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const log = options.log === undefined ? undefined : openSync(options.log, 'w');
  return new Promise<string>((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', log ?? 'pipe', log ?? 'pipe'],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (error) => reject(new ProgramFailed(command, undefined, error.message)));
    child.on('close', (status) => {
      if (status === 0) {
        resolve(Buffer.concat(out).toString());
        return;
      }
      const said = options.log ? `see ${options.log}` : Buffer.concat([...err, ...out]).toString().slice(-4000);
      reject(new ProgramFailed([command, ...args.slice(0, 3)].join(' '), status ?? 128, said));
    });
    if (child.stdin) {
      child.stdin.on('error', () => undefined); // A program that ends without reading is judged by its status alone.
      child.stdin.end(options.input);
    }
  }).finally(() => {
    if (log !== undefined) closeSync(log);
  });
}

/** Repeats a probe until it answers true. @throws when the time is over, naming what was awaited and the last error. */
export async function until(what: string, seconds: number, probe: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  let last = 'it answered no';
  while (Date.now() < deadline) {
    try {
      if (await probe()) return;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not there after ${seconds} s (${last})`);
}
