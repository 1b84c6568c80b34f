/**
 * `make demo`: the main job from end to end on the running cluster. A customer's volume is backed up seven times, the eighth is
 * refused, the data is damaged, a Restore brings every byte back, and Debian's restic finds the repository sound as it lies in
 * S3. Prints a report and ends 0 or 1. `SEED=` changes the data. What it made stays, to be looked at; the next run replaces it.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CLUSTER } from '../ground/layout.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { apply, environment, kubectl, waitFor } from '../support/cluster.ts';
import { census, copyAside, damage, makeCustomerData, removeTree, workOneDay, type TreeCensus } from './demo/customer-data.ts';
import { startReport, type Report } from './demo/report.ts';
import { CLAIM, LOCATION, NAMESPACE, POLICY, backup, customerResources, locationResources, policy, restore } from './demo/resources.ts';
import { openedByRestic } from './demo/restic-check.ts';

const SEED = Number(process.env['SEED'] ?? 20_260_101);
const QUOTA = 7;
/** Deletion of the last run's namespace included. */
const PATIENCE = 90;

async function demo(report: Report): Promise<void> {
  const env = environment();
  const volume = join(CLUSTER, 'demo/volume');
  const aside = join(volume, '../aside');

  await report.step('cluster', (say) => describeCluster(env, say));
  await report.step('what the last demo left is removed', () => removeLastDemo(volume));
  const before: TreeCensus = await report.step(`customer data made (SEED=${SEED})`, (say) => {
    makeCustomerData(volume, SEED);
    const found = census(volume);
    say(Object.entries<number>({ ...found }).map(([what, count]) => `${what} ${count.toLocaleString('en-US')}`).join(', '));
    if (found.files < 5000) throw new Error(`only ${found.files} files were made; 5,000 are needed`);
    return found;
  });
  await report.step(`location, namespace, volume, workload and policy applied`, async (say) => {
    await apply(locationResources(env));
    await apply(customerResources(volume, env['NODE_NAME'] ?? '', env['WORKLOAD_IMAGE'] ?? ''));
    await apply([policy()]);
    await conditionOf('backuplocation', LOCATION, 'Ready');
    await conditionOf('backuppolicy', POLICY, 'Ready');
    await kubectl(['-n', NAMESPACE, 'rollout', 'status', 'deployment/desk', `--timeout=${PATIENCE}s`]);
    say(await tenantLine());
  });

  for (let number = 1; number <= QUOTA; number += 1) {
    if (number > 1) workOneDay(volume, number);
    await report.step(`backup ${number} of ${QUOTA}`, async (say) => say(await takeBackup(`backup-${number}`)));
  }
  await report.step('the eighth is refused', async (say) => say(await takeRefused(`backup-${QUOTA + 1}`)));

  await report.step('a copy is put aside to compare with', async () => {
    await copyAside(volume, aside);
    refuseDifferences(compareTrees(volume, aside, { roots: true }), 'the copy differs from the original');
  });
  await report.step('damage done', async (say) => {
    const done = await damage(volume, SEED);
    say(`${done.encrypted} files encrypted and renamed, ${done.deleted} deleted, ${done.truncated} emptied, ${done.opened} made writable by all, one folder lost`);
    if (compareTrees(aside, volume).length === 0) throw new Error('the damage left no trace: the comparison is blind');
  });
  await report.step(`restore of backup-${QUOTA} in place`, async (say) => say(await takeRestore(`restore-1`, `backup-${QUOTA}`)));
  await report.step('compared: content, mode, owner, links, times in nanoseconds, extended attributes, holes', (say) => {
    refuseDifferences(compareTrees(aside, volume, { roots: true, ignoreXattr: isBeyondMovers }), 'the restored volume differs from what was backed up');
    const after = census(volume);
    say(`no difference in ${after.files.toLocaleString('en-US')} files, ${after.directories.toLocaleString('en-US')} directories, ${after.symlinks} symlinks (${before.files.toLocaleString('en-US')} files at the start)`);
  });
  await report.step('the workload runs again', async () => {
    await waitFor('the workload', PATIENCE, async () => (await read('deployment', 'desk', '{.status.readyReplicas}')) === '1');
  });
  await report.step("Debian's restic checks the repository in S3, key through a pipe", async (say) => {
    const tenant = await tenantId();
    for (const line of await openedByRestic(env, 'demo', tenant)) say(line);
  });
  report.show('kubectl get bl,bt,bp,bk,brs -A', await kubectl(['get', 'bl,bt,bp,bk,brs', '-A']));
}

/** A mover has no CAP_SYS_ADMIN, without which these attributes cannot even be seen (README.md, limits). */
function isBeyondMovers(attribute: string): boolean {
  return attribute.startsWith('trusted.');
}

async function describeCluster(env: Readonly<Record<string, string>>, say: (line: string) => void): Promise<void> {
  const version = await kubectl(['version', '-o', 'json']);
  const { serverVersion } = JSON.parse(version) as { serverVersion: { gitVersion: string } };
  say(`Kubernetes ${serverVersion.gitVersion}, node ${env['NODE_NAME'] ?? '?'}`);
  say(`S3 of data center A ${env['S3_A_ENDPOINT'] ?? '?'}, KMS ${env['KMS_A_ENDPOINT'] ?? '?'}; KMS of data center B ${env['KMS_B_ENDPOINT'] ?? '?'}`);
}

/** A namespace of the same name made later is another tenant, so each run starts from nothing. */
async function removeLastDemo(volume: string): Promise<void> {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', `--timeout=${PATIENCE}s`]);
  await kubectl(['delete', 'persistentvolume', `${NAMESPACE}-${CLAIM}`, '--ignore-not-found', `--timeout=${PATIENCE}s`]);
  await removeTree(volume);
  await mkdir(volume, { recursive: true });
}

async function takeBackup(name: string): Promise<string> {
  await apply([backup(name)]);
  const phase = await endOf('backup', name, ['Stored', 'Failed', 'Rejected', 'Cancelled']);
  if (phase !== 'Stored') throw new Error(await failureText('backup', name));
  return read('backup', name, '{.status.phase} as snapshot {.status.snapshotId}: {.status.files} files, {.status.size}, {.status.bytesAdded} bytes added, {.status.duration}');
}

async function takeRefused(name: string): Promise<string> {
  await apply([backup(name)]);
  const phase = await endOf('backup', name, ['Stored', 'Failed', 'Rejected', 'Cancelled']);
  const message = await read('backup', name, '{.status.conditions[?(@.type=="Stored")].message}');
  if (phase !== 'Rejected' || !message.includes('7 of 7')) throw new Error(`the eighth backup is ${phase} (${message}); it must be Rejected with "7 of 7 …"`);
  return `${phase}: ${message}`;
}

async function takeRestore(name: string, from: string): Promise<string> {
  await apply([restore(name, from)]);
  const phase = await endOf('restore', name, ['Succeeded', 'Failed', 'Cancelled']);
  if (phase !== 'Succeeded') throw new Error(await failureText('restore', name));
  return read('restore', name, '{.status.phase}: {.status.filesRestored} files, {.status.filesDeleted} deleted, {.status.bytesWritten} bytes written, {.status.duration}; the state before is kept as {.status.safetyBackup}');
}

/** Waits for one of `phases`, by the API server's watch. */
async function endOf(kind: string, name: string, phases: readonly string[]): Promise<string> {
  let phase = '';
  await waitFor(`${kind} ${name}`, PATIENCE, async () => {
    phase = await read(kind, name, '{.status.phase}');
    return phases.includes(phase);
  });
  return phase;
}

async function conditionOf(kind: string, name: string, type: string): Promise<void> {
  const path = `{.status.conditions[?(@.type=="${type}")]`;
  try {
    await waitFor(`${kind} ${name} to be ${type}`, PATIENCE, async () => (await read(kind, name, `${path}.status}`)) === 'True');
  } catch (error) {
    throw new Error(`${kind} ${name}: ${await read(kind, name, `${path}.message}`)}`, { cause: error });
  }
}

async function failureText(kind: string, name: string): Promise<string> {
  return `${kind} ${name} is ${await read(kind, name, '{.status.phase}: {range .status.conditions[*]}{.type}={.status} {.reason}: {.message}; {end}')}`;
}

function read(kind: string, name: string, jsonPath: string): Promise<string> {
  return kubectl(['-n', NAMESPACE, 'get', kind === 'backup' ? 'bk' : kind === 'restore' ? 'brs' : kind, name, '-o', `jsonpath=${jsonPath}`]);
}

async function tenantName(): Promise<string> {
  return read('backuppolicy', POLICY, '{.status.tenant}');
}

async function tenantId(): Promise<string> {
  return kubectl(['get', 'bt', await tenantName(), '-o', 'jsonpath={.spec.tenantId}']);
}

async function tenantLine(): Promise<string> {
  return `tenant ${await tenantName()}, id ${await tenantId()}`;
}

function refuseDifferences(differences: readonly string[], what: string): void {
  if (differences.length > 0) throw new Error(`${what}:\n  ${differences.slice(0, 20).join('\n  ')}`);
}

const report = startReport();
try {
  await demo(report);
  console.log(`demo: everything as it should be, in ${report.seconds().toFixed(0)} s`);
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
