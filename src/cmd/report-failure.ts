import type { ProcessContext } from './command-context.ts';
import { EXIT, exitStatusOf, type ExitStatus } from './exit-status.ts';
import { printable } from '../mover/printable.ts';

/** Why the signal was set when nobody can read stdout any more; `main.ts` has said so. */
export const OUTPUT_LOST = 'lost output';

/**
 * Says on stderr what happened; with `json` as one object. The stack of an error that nobody expected goes with it, for
 * that is a bug to be reported.
 */
export function reportFailure(error: unknown, { json, context }: { json: boolean; context: ProcessContext }): ExitStatus {
  if (context.signal.reason === OUTPUT_LOST) return EXIT.failed;
  const status = context.signal.aborted ? interruptedStatus(context.signal) : exitStatusOf(error);
  const message = context.signal.aborted ? `stopped by ${String(context.signal.reason)} before it was done; the repository is valid, run the same command again` : messageOf(error);
  const code = context.signal.aborted ? 'Aborted' : codeOf(error);
  if (json) context.stderr.write(`${JSON.stringify({ type: 'error', code, message, exitStatus: status })}\n`);
  else context.stderr.write(`tenant-backup: ${printable(message)}\n`);
  if (code === 'Bug' && error instanceof Error) context.stderr.write(`${error.stack ?? ''}\n`);
  return status;
}

export function interruptedStatus(signal: AbortSignal): ExitStatus {
  return signal.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'Bug';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
