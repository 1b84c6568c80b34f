// The ground itself: what cluster-down must not leave, after every kind of end. It uses a second ground beside the one that
// runs these tests, so it needs root and nothing else.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { run, until } from '../ground/run.ts';
import { machineState, mountsBelow, pidNamespaceOf, processesOf } from '../support/machine-state.ts';

const checkout = join(import.meta.dirname, '..', '..');
const cluster = join(checkout, '.cluster-9');
const record = '/run/tenant-backup-ground-9.json';
// Without USE_EXISTING_CLUSTER and KUBECONFIG of whoever runs the tests: this one is always of our own making.
const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TENANT_BACKUP_CACHE: process.env['TENANT_BACKUP_CACHE'], GROUND_NUMBER: '9' };
const up = (): Promise<string> => run(process.execPath, [join(checkout, 'test/ground/up.ts'), '--bare'], { env });
const down = (): Promise<string> => run(process.execPath, [join(checkout, 'test/ground/down.ts')], { env });

function groundEnvironment(): Record<string, string> {
  const pairs = readFileSync(join(cluster, 'env'), 'utf8').split('\n').filter(Boolean);
  return Object.fromEntries(pairs.map((line) => line.split('=', 2) as [string, string]));
}

/** Runs a pod with a CSI volume until it is ready, so that containers, their mounts and their network exist. */
async function runPod(): Promise<void> {
  const { KUBECTL: kubectl = '', WORKLOAD_IMAGE: image = '', STORAGE_CLASS: storageClassName = '' } = groundEnvironment();
  const config = ['--kubeconfig', join(cluster, 'kubeconfig')];
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: '1Mi' } } },
  };
  const sleeper = { name: 'sleeper', image, imagePullPolicy: 'Never', command: ['sleep', '1000'], volumeMounts: [{ name: 'data', mountPath: '/data' }] };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'sleeper' },
    spec: { containers: [sleeper], volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] },
  };
  await run(kubectl, [...config, 'apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [claim, pod] }) });
  await run(kubectl, [...config, 'wait', 'pod/sleeper', '--for=condition=Ready', '--timeout=60s']);
}

function initOf(): number {
  const { init } = JSON.parse(readFileSync(record, 'utf8')) as { init: { pid: number } };
  return init.pid;
}

describe('make cluster-down', () => {
  afterEach(async () => {
    await down();
  });

  it('leaves no process, mount, device, rule, control group, setting or file of a ground with a running pod', async () => {
    const before = await machineState();
    await up();
    await runPod();
    const namespace = pidNamespaceOf(initOf()) ?? '';
    expect(processesOf(namespace).length).toBeGreaterThan(12);

    await down();

    expect(processesOf(namespace)).toEqual([]);
    expect(mountsBelow(cluster)).toEqual([]);
    expect(existsSync(cluster)).toBe(false);
    expect(await machineState()).toEqual(before);
    expect(await down()).toContain('there was no ground');
  }, 240_000);

  it('leaves nothing either when the ground was killed, or its start was', async () => {
    const before = await machineState();
    const starting = spawn(process.execPath, [join(checkout, 'test/ground/up.ts'), '--bare'], { env, stdio: 'ignore' });
    await until('the kubelet of the second ground', 60, () => Promise.resolve(existsSync(join(cluster, 'pids', 'kubelet.pid'))));
    starting.kill('SIGKILL');
    process.kill(initOf(), 'SIGKILL');

    await down();

    expect(existsSync(cluster)).toBe(false);
    expect(await machineState()).toEqual(before);
  }, 240_000);

  it('is not needed before the next start: what a killed ground left is removed first', async () => {
    await up();
    await runPod();
    process.kill(initOf(), 'SIGKILL');
    await until('the end of process 1', 10, () => Promise.resolve(pidNamespaceOf(initOf()) === undefined));

    await up();

    await runPod();
  }, 240_000);
});
