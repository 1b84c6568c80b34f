// Long-running programs inside the ground's namespaces. Each has a log, a file with its process id (as seen inside) and a
// file with its command line, so that a test may stop one and start it again.
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { paths } from './layout.ts';
import { inside, runInside, type Init } from './namespaces.ts';
import { run } from './run.ts';

const Daemon = z.object({ command: z.array(z.string()), env: z.record(z.string(), z.string()) });
export type Daemon = z.infer<typeof Daemon>;

/** Starts a program and remembers how. The file is readable by root alone, since the environment may hold credentials. */
export async function startDaemon(init: Init, name: string, daemon: Daemon): Promise<void> {
  await mkdir(paths.pids, { recursive: true });
  await mkdir(paths.logs, { recursive: true });
  await writeFile(join(paths.pids, `${name}.json`), JSON.stringify(daemon), { mode: 0o600 });
  await restartDaemon(init, name);
}

/** Starts a stopped program as it was started before. */
export async function restartDaemon(init: Init, name: string): Promise<void> {
  const daemon = Daemon.parse(JSON.parse(await readFile(join(paths.pids, `${name}.json`), 'utf8')));
  const log = join(paths.logs, `${name}.log`);
  const pid = join(paths.pids, `${name}.pid`);
  // setsid and & leave it to process 1 of the namespace; the shell in between ends at once.
  const script = `setsid "$@" >>'${log}' 2>&1 </dev/null & echo $! >'${pid}'`;
  const { command, args } = inside(init, ['sh', '-euc', script, 'sh', ...daemon.command]);
  await run(command, args, { env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...daemon.env } });
}

/** Sends a signal to a program of the ground. */
export async function signalDaemon(init: Init, name: string, signal: 'TERM' | 'KILL' | 'STOP' | 'CONT'): Promise<void> {
  const pid = readFileSync(join(paths.pids, `${name}.pid`), 'utf8').trim();
  await runInside(init, `kill -${signal} ${pid}`);
}

/** Ends a program and waits until it is gone. */
export async function stopDaemon(init: Init, name: string): Promise<void> {
  const pid = readFileSync(join(paths.pids, `${name}.pid`), 'utf8').trim();
  await runInside(init, `kill -KILL ${pid} 2>/dev/null || true; while kill -0 ${pid} 2>/dev/null; do sleep 0.05; done`);
}

/** The end of a program's log, for the message of a failure. */
export function logTail(name: string): string {
  try {
    return readFileSync(join(paths.logs, `${name}.log`), 'utf8').slice(-2000);
  } catch {
    return '';
  }
}
