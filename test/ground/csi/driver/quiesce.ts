// One instant for all volumes of a snapshot: the pods' processes that have one of them mounted stand still while it is
// copied. A copy of folders that somebody writes to would be of no instant at all, which no real storage does to a
// database.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startTimeOf } from '../../record.ts';
import { until } from '../../run.ts';
import { mountsOf } from './mounts.ts';
import type { Quiesce } from './snapshots.ts';
import type { Storage } from './storage.ts';

const STOPPED = 'stopped.json';
/** A process may fork while we look; after that many rounds it is one that does nothing else. */
const MOST_ROUNDS = 20;
const STAND_STILL_SECONDS = 5;

/** @param pods - part of the path of every pod's control group; undefined where there are no pods: nobody is stopped then */
export function quiescer(storage: Storage, pods: string | undefined): Quiesce {
  return async (volumes, work) => {
    if (pods === undefined) return work();
    try {
      await stop(storage, pods, volumes);
      return await work();
    } finally {
      await releaseStopped(storage.directory);
    }
  };
}

async function stop(storage: Storage, pods: string, volumes: readonly string[]): Promise<void> {
  const roots = volumes.map((volume) => storage.mountedRootOf(volume));
  const stopped = new Map<number, string>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const running = writersOf(roots, pods).filter((pid) => !stopped.has(pid));
    if (running.length === 0) return;
    for (const pid of running) stopped.set(pid, startTimeOf(pid) ?? '');
    // Written first: whoever is stopped must run again, if this driver is killed on the next line too.
    await writeFile(join(storage.directory, STOPPED), JSON.stringify([...stopped]));
    for (const pid of running) signal(pid, 'SIGSTOP');
    await until('the standstill of who writes to a volume', STAND_STILL_SECONDS, () => Promise.resolve(running.every(standsStill)));
  }
  throw new Error(`pods that write to ${volumes.join(', ')} make new processes faster than they can be stopped`);
}

/** The processes of pods that have one of the volumes mounted. */
function writersOf(roots: readonly string[], pods: string): number[] {
  const processes = readdirSync('/proc').map(Number).filter((pid) => pid > 0);
  return processes.filter((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(pods)) return false;
    } catch {
      return false;
    }
    return mountsOf(pid).some(({ root }) => roots.some((each) => root.endsWith(each)));
  });
}

/** Whether every thread is stopped, or the process is gone. */
function standsStill(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((task) => /^\S+ \(.*\) [TtZX] /s.test(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8')));
  } catch {
    return true;
  }
}

/** Lets everybody run again who was stopped, by this driver or by one that was killed meanwhile. */
export async function releaseStopped(directory: string): Promise<void> {
  const file = join(directory, STOPPED);
  if (!existsSync(file)) return;
  const stopped = JSON.parse(await readFile(file, 'utf8')) as [number, string][];
  for (const [pid, startTime] of stopped) if (startTimeOf(pid) === startTime) signal(pid, 'SIGCONT');
  await rm(file);
}

function signal(pid: number, name: 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
