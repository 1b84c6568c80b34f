// Services of tests as processes on the loopback address.
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';

/** Starts a process that dies with this one, and returns what stops it. */
export function startProcess(command: string, args: readonly string[], env: Readonly<Record<string, string>>): () => Promise<void> {
  const child = spawn(command, args, { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' });
  // Whoever forgot it, or failed before it could be ended, ends nevertheless.
  child.unref();
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  return async () => {
    process.off('exit', kill);
    await ended(child);
  };
}

/** Kills a process, unless it has ended, and waits until it has. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  await new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.kill('SIGKILL');
  });
}

interface Stoppable {
  readonly stop: () => Promise<unknown>;
}

/** What starts side by side; where one of them fails, the others are stopped before its error is thrown. */
export async function startTogether<const T extends readonly Promise<Stoppable>[]>(starting: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const results = await Promise.allSettled(starting);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return results.map((result) => (result as PromiseFulfilledResult<Stoppable>).value) as never;
  await Promise.all(results.filter((result) => result.status === 'fulfilled').map(({ value }) => value.stop()));
  throw failed.reason;
}

/** Below the kernel's own (from 32768), which it gives to any connection of any process in the moment after a port was found free. */
const [FIRST_PORT, PORTS_A_WORKER, WORKERS] = [14_000, 1000, 16];
const firstOfWorker = FIRST_PORT + (Number(process.env['JEST_WORKER_ID'] ?? 0) % WORKERS) * PORTS_A_WORKER;
let nextPort = Math.floor(Math.random() * PORTS_A_WORKER);

/** A port that was free a moment ago, that no other test of this run is given, and this one not again. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < PORTS_A_WORKER; tried += 1) {
    const port = firstOfWorker + (nextPort++ % PORTS_A_WORKER);
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${firstOfWorker} to ${firstOfWorker + PORTS_A_WORKER - 1} is free on the loopback address`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
