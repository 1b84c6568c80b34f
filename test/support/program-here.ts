// Runs a command line in this process: a process of its own takes a second to start, and most of what the program says needs none.
import { PassThrough } from 'node:stream';
import { runProgram } from '../../src/cmd/program.ts';
import type { ProgramRun } from './program.ts';

export interface HereOptions {
  readonly stdin?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** As `runProcess`, without what `main.ts` does: signals, and outputs that are lost. */
export async function runHere(args: readonly string[], { stdin = '', signal = AbortSignal.timeout(60_000) }: HereOptions = {}): Promise<ProgramRun> {
  const said = { stdout: '', stderr: '' };
  const sink = (name: keyof typeof said) => ({ write: (text: string) => (said[name] += text) });
  const input = new PassThrough();
  input.end(stdin);
  const status = await runProgram(args, { stdin: input, stdout: sink('stdout'), stderr: sink('stderr'), signal, now: () => performance.now() });
  return { status, ...said };
}
