// The record of the machine's one ground: written before anything is changed, so that whatever a killed run left behind is
// found and undone by the next one, whichever checkout it runs in.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { CLUSTER, EXISTING_RECORD, RECORD } from './layout.ts';

const Record = z.object({
  /** The `.cluster` folder of the checkout that runs it. */
  directory: z.string(),
  /** Process 1 of the ground's namespaces as this machine sees it; without it everything of the ground is dead. */
  init: z.object({ pid: z.number(), startTime: z.string(), namespaces: z.array(z.string()).readonly() }).optional(),
  /** Kernel settings as they were before the kubelet changed them. */
  sysctls: z.record(z.string(), z.string()),
  /** Folders of the machine that were made as mount points, deepest last. */
  folders: z.array(z.string()),
  /** The kubeconfig of an existing cluster that got our chart. */
  existingCluster: z.string().optional(),
});
export type Record = z.infer<typeof Record>;

/** @param file - where the record is: the machine's, or that of a checkout that uses an existing cluster. */
export function readRecord(file: string = RECORD): Record | undefined {
  if (!existsSync(file)) return undefined;
  return Record.parse(JSON.parse(readFileSync(file, 'utf8')));
}

export async function writeRecord(record: Record, file: string = RECORD): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(record));
  await rename(`${file}.new`, file);
}

/**
 * The mount points that a ground which ends may remove. Removing one under which another ground has its private folder
 * would unmount that, so a running ground inherits them all.
 *
 * @param own - the file of the record of the ground that ends
 */
export async function removableFolders(record: Record, own: string = RECORD): Promise<readonly string[]> {
  const family = /^tenant-backup-ground(-\d)?\.json$/;
  const others = readdirSync(dirname(own)).filter((name) => family.test(name) && name !== basename(own));
  for (const file of others.map((name) => join(dirname(own), name))) {
    const heir = readRecord(file);
    if (!heir || !isAlive(heir)) continue;
    await writeRecord({ ...heir, folders: [...new Set([...heir.folders, ...record.folders])] }, file);
    return [];
  }
  return record.folders;
}

export async function forgetRecord(): Promise<void> {
  await rm(RECORD, { force: true });
}

/** When a process started, in clock ticks since boot: with its id, that names it for good. Undefined when it is dead. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Whether the recorded ground still runs, rather than another process that got its id. */
export function isAlive(record: Record): boolean {
  return record.init !== undefined && startTimeOf(record.init.pid) === record.init.startTime;
}

/**
 * Process 1 of this checkout's running ground, for `daemons.ts`: a test that stops the S3 service of a data center says
 * `stopDaemon(runningInit(), 's3-a')` and afterwards `restartDaemon(…)`. @throws when no ground is up.
 */
export function runningInit(): NonNullable<Record['init']> {
  const record = readRecord(EXISTING_RECORD) ?? readRecord();
  if (!record?.init || record.directory !== CLUSTER || !isAlive(record)) throw new Error('no ground is up: run `make cluster-up` first');
  return record.init;
}
