/**
 * The program's entry: hands the process to `runProgram` and ends with its exit status. SIGINT and SIGTERM cancel the work,
 * which removes its locks and leaves a valid repository; a second signal ends the process at once.
 */
import { EXIT } from './exit-status.ts';
import { runProgram } from './program.ts';

const cancel = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => cancel.abort(name));
}
// The reader of a pipe may have seen enough (`… ls | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.failed);
});

process.exitCode = await runProgram(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: cancel.signal,
  now: () => performance.now(),
});
