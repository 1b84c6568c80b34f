// The control groups of the ground's pods: one folder in every hierarchy, which the kubelet is told to stay below.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CGROUP } from './layout.ts';

/** Where this machine's control group hierarchies are mounted. */
function hierarchies(): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return mounts.flatMap((line) => {
    const [place, kind] = [line.split(' ')[4], line.split(' - ')[1]?.split(' ')[0]];
    return place !== undefined && (kind === 'cgroup' || kind === 'cgroup2') ? [place] : [];
  });
}

export async function makeControlGroups(): Promise<void> {
  for (const hierarchy of hierarchies()) {
    const folder = join(hierarchy, CGROUP);
    await mkdir(folder, { recursive: true });
    // Version 1: a new cpuset is empty and nothing can run in it. Version 2: controllers must be handed down.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (existsSync(join(hierarchy, 'cpuset.cpu_exclusive'))) await writeFile(join(folder, file), await readFile(join(hierarchy, file)));
    }
    const controllers = join(folder, 'cgroup.controllers');
    if (!existsSync(controllers)) continue;
    for (const name of (await readFile(controllers, 'utf8')).split(/\s+/).filter(Boolean)) {
      await writeFile(join(folder, 'cgroup.subtree_control'), `+${name}`);
    }
  }
}

/** Removes the groups, which must be empty of processes by now. */
export async function removeControlGroups(): Promise<void> {
  for (const hierarchy of hierarchies()) await removeTree(join(hierarchy, CGROUP));
}

async function removeTree(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  }
  await rmdir(folder);
}
