// The record of the machine's one ground: written before anything is changed, so that whatever a killed run left behind is
// found and undone by the next one, whichever checkout it runs in.
import { existsSync, readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { RECORD } from './layout.ts';

const Record = z.object({
  /** The `.cluster` folder of the checkout that runs it. */
  directory: z.string(),
  /** Process 1 of the ground's namespaces as this machine sees it; without it everything of the ground is dead. */
  init: z.object({ pid: z.number(), startTime: z.string() }).optional(),
  /** Kernel settings as they were before the kubelet changed them. */
  sysctls: z.record(z.string(), z.string()),
  /** Folders of the machine that were made as mount points, deepest last. */
  folders: z.array(z.string()),
});
export type Record = z.infer<typeof Record>;

export function readRecord(): Record | undefined {
  if (!existsSync(RECORD)) return undefined;
  return Record.parse(JSON.parse(readFileSync(RECORD, 'utf8')));
}

export async function writeRecord(record: Record): Promise<void> {
  await writeFile(`${RECORD}.new`, JSON.stringify(record));
  await rename(`${RECORD}.new`, RECORD);
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
