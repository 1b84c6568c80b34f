// A node that stops answering while movers work on it. The ground has one node, so nothing can go on elsewhere; what is seen is who waits, what
// is said, and that all ends well once the node is back.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { signalDaemon } from '../ground/daemons.ts';
import { CLUSTER } from '../ground/layout.ts';
import { runningInit } from '../ground/record.ts';
import { run } from '../ground/run.ts';
import { apply, conditionOf, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { backupObject, locationObjects, makeCustomer, removeCustomer, restoreObject } from '../support/customer.ts';

const LOCATION = 'e2e-lost-node';
const [WORKS, FROZEN, RESTORES] = ['e2e-lost-works', 'e2e-lost-frozen', 'e2e-lost-restores'] as const;
const CUSTOMERS = [WORKS, FROZEN, RESTORES];
const directoryOf = (namespace: string): string => join(CLUSTER, 'e2e', namespace);

interface PodLike {
  readonly status?: { readonly containerStatuses?: readonly { readonly containerID?: string; readonly state?: { readonly running?: object } }[] };
}

async function task(what: 'pause' | 'resume', container: string): Promise<void> {
  const address = environment()['CONTAINERD_ADDRESS'] ?? '/run/containerd/containerd.sock';
  await run('ctr', ['--address', address, '--namespace', 'k8s.io', 'tasks', what, container]);
}

/** Stops the mover of a customer in the middle of its work, as a machine that hangs does. */
async function freezeMover(namespace: string): Promise<string> {
  const container = await waitFor(`a mover of ${namespace} that runs`, 60, async () => {
    const [pod] = await listObjects<PodLike>('pods', namespace, 'app.kubernetes.io/managed-by=tenant-backup');
    return pod?.status?.containerStatuses?.find(({ state }) => state?.running !== undefined)?.containerID?.replace(/^.*:\/\//, '');
  });
  await task('pause', container);
  return container;
}

const frozen: string[] = [];
const onOurNode = (environment()['CONTAINERD_ADDRESS'] ?? '') === '' ? describe.skip : describe;

beforeAll(async () => {
  // So slow that each mover is caught while it runs.
  const resources = { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '150m', memory: '512Mi' } };
  await apply(locationObjects(LOCATION, { movers: 10, mover: { resources } }));
  await waitForCondition('bl', LOCATION, undefined, { type: 'Ready', status: 'True' });
  for (const namespace of CUSTOMERS) {
    const directory = directoryOf(namespace);
    mkdirSync(directory, { recursive: true });
    for (let i = 0; i < 8; i++) writeFileSync(join(directory, `file-${i}`), randomBytes(4 << 20));
    await makeCustomer({ namespace, location: LOCATION, volumes: { data: directory }, workload: 'app', policySpec: { copyMethod: 'Direct' } });
  }
  for (const namespace of CUSTOMERS) await waitForCondition('bp', 'daily', namespace, { type: 'Ready', status: 'True' });
  await kubectl(['rollout', 'status', 'deployment/app', '-n', RESTORES, '--timeout=90s']);
  await create([backupObject(RESTORES, 'good', 'daily')]);
  await waitForPhase('bk', 'good', RESTORES, ['Stored'], 120);
}, 240_000);

afterAll(async () => {
  await signalDaemon(runningInit(), 'kubelet', 'CONT').catch(() => undefined);
  for (const container of frozen) await task('resume', container).catch(() => undefined);
  for (const namespace of CUSTOMERS) {
    await removeCustomer(namespace, ['data'], 120);
    rmSync(directoryOf(namespace), { recursive: true, force: true });
  }
  await kubectl(['delete', 'bl', LOCATION, '--ignore-not-found']);
}, 400_000);

onOurNode('while the kubelet of their node is away', () => {
  it('a mover that goes on is believed, one that hangs is made again, and a restore lets nobody else write until its pod is gone', async () => {
    const sum = await kubectl(['exec', 'deploy/app', '-n', RESTORES, '--', 'sh', '-c', 'cat /data/data/file-* | sha256sum']);
    writeFileSync(join(directoryOf(RESTORES), 'file-0'), randomBytes(4 << 20));
    await create([restoreObject(RESTORES, 'back', 'good', { safetyBackup: 'Skip' }), backupObject(FROZEN, 'backup', 'daily')]);
    frozen.push(await freezeMover(FROZEN), await freezeMover(RESTORES));
    await create([backupObject(WORKS, 'backup', 'daily')]);
    await waitFor('its mover', 60, async () => {
      const [pod] = await listObjects<PodLike>('pods', WORKS, 'app.kubernetes.io/managed-by=tenant-backup');
      return pod?.status?.containerStatuses?.some(({ state }) => state?.running !== undefined);
    });
    await signalDaemon(runningInit(), 'kubelet', 'STOP');

    // Nobody tells of the pod's end, but what it stored is there.
    await waitForCondition('bk', 'backup', FROZEN, { type: 'Stored', status: 'False', reason: 'NodeLost' }, 120);
    expect(conditionOf(await getObject<StatusLike>('bk', 'backup', FROZEN), 'Stored')?.message).toMatch(/does not answer since .*given up/);
    await waitForPhase('bk', 'backup', WORKS, ['Stored'], 240);
    // Given up; the next attempt would have to be where the workload holds the volume, and that is the lost node.
    await waitForCondition('bk', 'backup', FROZEN, { type: 'Stored', status: 'False', reason: 'VolumeOnLostNode' }, 120);
    await waitForCondition('brs', 'back', RESTORES, { type: 'Succeeded', status: 'Unknown', reason: 'NodeLost' }, 120);
    expect((await getObject<StatusLike>('deploy', 'app', RESTORES))?.spec?.['replicas']).toBe(0);

    await signalDaemon(runningInit(), 'kubelet', 'CONT');
    for (const container of frozen.splice(0)) await task('resume', container).catch(() => undefined);
    await waitForPhase('bk', 'backup', FROZEN, ['Stored'], 240);
    await waitForPhase('brs', 'back', RESTORES, ['Succeeded'], 240);
    await waitFor('the workload', 90, async () => (await getObject<StatusLike>('deploy', 'app', RESTORES))?.status?.['readyReplicas'] === 1 || undefined);
    expect(await kubectl(['exec', 'deploy/app', '-n', RESTORES, '--', 'sh', '-c', 'cat /data/data/file-* | sha256sum'])).toBe(sum);
    for (const namespace of CUSTOMERS) await waitFor(`nothing to be left in ${namespace}`, 60, async () => (await kubectl(['get', 'jobs,pods,secrets', '-n', namespace, '-l', 'app.kubernetes.io/managed-by=tenant-backup', '-o', 'name'])) === '');
  }, 900_000);
});
