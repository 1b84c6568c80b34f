// `make cluster-down`: removes the ground and everything that it left on the machine, after a crash and when called twice
// too. Nothing is ended or removed that the record does not name.
import { existsSync, readFileSync } from 'node:fs';
import { rm, rmdir, writeFile } from 'node:fs/promises';
import { removeControlGroups } from './cgroups.ts';
import { uninstallChart } from './chart.ts';
import { CLUSTER, EXISTING_RECORD, HOST_LINK } from './layout.ts';
import { forgetRecord, isAlive, readRecord, removableFolders, type Record } from './record.ts';
import { run, until } from './run.ts';

/** Takes this checkout's ground down, and what a dead one of another checkout left. @returns whether there was one. */
export async function takeDown(): Promise<boolean> {
  const existing = readRecord(EXISTING_RECORD);
  if (existing) await leaveExistingCluster(existing);
  const record = readRecord();
  const foreign = record !== undefined && record.directory !== CLUSTER && isAlive(record);
  if (record && !foreign) await undo(record);
  const there = (record !== undefined && !foreign) || existsSync(CLUSTER);
  await removeDirectory(CLUSTER);
  return there;
}

async function endProcesses(record: Record): Promise<void> {
  if (!record.init || !isAlive(record)) return;
  process.kill(record.init.pid, 'SIGKILL'); // The kernel ends every other process of the namespace with it.
  await until('the end of the ground', 20, () => Promise.resolve(!isAlive(record)));
}

/** Removes our chart from somebody's cluster. Its CRDs stay, with what people keep in them: that is the chart's promise. */
async function leaveExistingCluster(record: Record): Promise<void> {
  if (record.existingCluster !== undefined && existsSync(record.existingCluster)) {
    await uninstallChart(record.existingCluster).catch((error: unknown) => {
      console.error(`the chart could not be removed from the existing cluster: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
  await endProcesses(record);
}

async function undo(record: Record): Promise<void> {
  await endProcesses(record);
  await run('ip', ['link', 'delete', HOST_LINK]).catch(() => undefined); // It may have gone with its other end.
  await until('the control groups to be empty', 20, async () => {
    await removeControlGroups();
    return true;
  });
  for (const [name, value] of Object.entries(record.sysctls)) {
    if (readFileSync(name, 'utf8').trim() !== value) await writeFile(name, value);
  }
  await removeDirectory(record.directory);
  for (const folder of (await removableFolders(record)).toReversed()) await rmdir(folder).catch(() => undefined); // Somebody else uses it by now.
  await forgetRecord();
}

/** Removes a folder, but never what a test mounted below it and forgot: that is unmounted first. */
async function removeDirectory(directory: string): Promise<void> {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((place) => place.startsWith(`${directory}/`));
  for (const place of mounted.toReversed()) await run('umount', [place]);
  await rm(directory, { recursive: true, force: true });
}

if (import.meta.main) {
  console.log((await takeDown()) ? 'the ground is gone' : 'there was no ground');
}
