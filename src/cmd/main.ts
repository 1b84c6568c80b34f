/**
 * The program's entry: hands the process to `runProgram` and ends with its exit status. SIGINT and SIGTERM cancel the work,
 * which removes its locks and leaves a valid repository; a second signal ends the process at once.
 */
import { EXIT } from './exit-status.ts';
import { runProgram } from './program.ts';
import { interruptedStatus, OUTPUT_LOST } from './report-failure.ts';

/** `timeout` and npm send a signal twice in one breath; a person who presses again means it. */
const SAME_SIGNAL_MS = 1000;
/** What a signal leaves a reader who has stopped reading, milliseconds; nobody knows whether he ever goes on. */
const LAST_WORDS_MS = 500;

const cancel = new AbortController();
let firstAt: number | undefined;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    firstAt ??= performance.now();
    if (!cancel.signal.aborted) cancel.abort(name);
    else if (performance.now() - firstAt > SAME_SIGNAL_MS) endAtOnce(name);
  });
}

/** As the system ends a program that takes no signals: `process.exit` waits for threads, and one may hang in a system call (a dead network share). */
function endAtOnce(name: 'SIGINT' | 'SIGTERM'): never {
  process.removeAllListeners(name);
  process.kill(process.pid, name);
  // The first process of a container is not ended so.
  process.exit(name === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted);
}

const lost = new AbortController();
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (lost.signal.aborted) return;
  lost.abort();
  // The reader of a pipe may have seen enough (`… ls | head`); anything else must be said.
  if (error.code !== 'EPIPE') process.stderr.write(`tenant-backup: the output could not be written (${error.message}). Make room where it goes, or send it elsewhere.\n`);
  // Not the end of the process: the repository's lock must go first.
  cancel.abort(OUTPUT_LOST);
});
// Words that nobody can read are no reason to leave work half done.
process.stderr.on('error', () => undefined);

/** Whether all that was said has left the process; a signal ends the waiting for that. */
async function isSaid(stream: NodeJS.WriteStream): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const giveUp = () => void setTimeout(resolve, LAST_WORDS_MS, false);
  stream.write('', () => {
    resolve(true);
  });
  if (cancel.signal.aborted) giveUp();
  else cancel.signal.addEventListener('abort', giveUp, { once: true });
  return promise;
}

const status = await runProgram(process.argv.slice(2), {
  // Made when it is first asked for: hardly any command reads it.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  signal: cancel.signal,
  now: () => performance.now(),
});
const isAllSaid = (await Promise.all([process.stdout, process.stderr].map(isSaid))).every(Boolean);
// All is said and done: a socket or thread that somebody forgot must not keep a Job from ending.
process.exit(lost.signal.aborted ? EXIT.failed : isAllSaid ? status : interruptedStatus(cancel.signal));
