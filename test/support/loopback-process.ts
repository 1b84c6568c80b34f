// Services of tests as processes on the loopback address.
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';

/** Starts a process that dies with this one, and returns what stops it. */
export function startProcess(command: string, args: readonly string[], env: Readonly<Record<string, string>>): () => Promise<void> {
  const child = spawn(command, args, { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' });
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
  await new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.kill('SIGKILL');
  });
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the loopback address gave no port');
  return address.port;
}
