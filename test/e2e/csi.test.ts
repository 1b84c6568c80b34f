// CSI volumes of the ground: what a customer's storage does, so that copy methods are tested on real snapshots, clones and
// groups. Everything here is Kubernetes' own; no resource of ours is involved.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { snapshotClassObject } from '../ground/csi/classes.ts';
import { restartDriver } from '../ground/csi/start.ts';
import { runningInit } from '../ground/record.ts';
import { apply, environment, getObject, kubectl, waitFor } from '../support/cluster.ts';
import { namespaceObject, workloadObject } from '../support/customer.ts';

const NAMESPACE = 'e2e-csi';
const SLOW = 'e2e-csi-slow';
const REFUSING = 'e2e-csi-refusing';

interface SnapshotLike {
  readonly status?: { readonly readyToUse?: boolean; readonly creationTime?: string; readonly error?: { readonly message?: string }; readonly volumeGroupSnapshotName?: string };
}
interface ClaimLike {
  readonly status?: { readonly phase?: string };
  readonly spec: { readonly volumeName?: string };
}

const className = (variable: string): string => environment()[variable] ?? '';

function claim(name: string, spec: Readonly<Record<string, unknown>> = {}, labels: Readonly<Record<string, string>> = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: NAMESPACE, labels },
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: className('STORAGE_CLASS_IMMEDIATE'), resources: { requests: { storage: '64Mi' } }, ...spec },
  };
}

function snapshot(name: string, of: string, snapshotClass: string): object {
  return {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshot',
    metadata: { name, namespace: NAMESPACE },
    spec: { volumeSnapshotClassName: snapshotClass, source: { persistentVolumeClaimName: of } },
  };
}

const fromSnapshot = (name: string): Readonly<Record<string, unknown>> => ({ dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name } });
const fromClaim = (name: string): Readonly<Record<string, unknown>> => ({ dataSource: { kind: 'PersistentVolumeClaim', name } });

async function inPod(workload: string, script: string): Promise<string> {
  return kubectl(['exec', '-n', NAMESPACE, `deployment/${workload}`, '--', 'sh', '-euc', script]);
}

async function rolledOut(workload: string): Promise<void> {
  await kubectl(['rollout', 'status', `deployment/${workload}`, '-n', NAMESPACE, '--timeout=90s']);
}

async function boundVolume(name: string): Promise<string> {
  return waitFor(`claim ${name} to be bound`, 60, async () => {
    const found = await getObject<ClaimLike>('pvc', name, NAMESPACE);
    return found?.status?.phase === 'Bound' ? found.spec.volumeName : undefined;
  });
}

async function ready(kind: string, name: string): Promise<SnapshotLike> {
  return waitFor(`${kind} ${name} to be ready`, 60, async () => {
    const found = await getObject<SnapshotLike>(kind, name, NAMESPACE);
    return found?.status?.readyToUse === true ? found : undefined;
  });
}

/** In place and without a process of its own for each number: thousands of them while a volume is copied. */
const COUNTING = 'i=0; while :; do i=$((i+1)); for file in /data/one/n? /data/two/n?; do printf %012d $i 1<>$file; done; done';

/** Who stood still for a snapshot counts on. */
async function goesOn(): Promise<void> {
  const read = async (): Promise<number> => Number(await inPod('app', 'cat /data/two/n1'));
  const before = await read();
  await waitFor('the writer to go on', 10, async () => (await read()) > before);
}

/** What the driver holds, by its folders. */
function held(): string[] {
  const { CSI_DIRECTORY: directory = '' } = environment();
  return ['volumes', 'snapshots', 'groups', 'drafts'].flatMap((shelf) => readdirSync(join(directory, shelf)).map((id) => `${shelf}/${id}`));
}

let before: readonly string[] = [];
// Somebody's cluster has somebody's driver: nothing of it is ours to judge.
const onOurDriver = environment()['CSI_DIRECTORY'] === '' ? describe.skip : describe;

beforeAll(async () => {
  if (environment()['CSI_DIRECTORY'] === '') return;
  before = held();
  await apply([
    namespaceObject(NAMESPACE),
    snapshotClassObject(SLOW, { readySeconds: '4' }),
    snapshotClassObject(REFUSING, { refuse: 'no space for snapshots' }),
    claim('one', {}, { group: 'pair' }),
    claim('two', {}, { group: 'pair' }),
    claim('late', { storageClassName: className('STORAGE_CLASS') }),
    workloadObject(NAMESPACE, 'app', ['one', 'two', 'late']),
  ]);
  await rolledOut('app');
}, 120_000);

afterAll(async () => {
  if (environment()['CSI_DIRECTORY'] === '') return;
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=90s']);
  await kubectl(['delete', 'volumesnapshotclass', SLOW, REFUSING, '--ignore-not-found']);
}, 120_000);

onOurDriver('CSI volumes of the ground', () => {
  it('come back from a snapshot and as a clone, with what was written before and nothing of what came after', async () => {
    await inPod('app', 'echo before > /data/one/note; mkdir /data/one/deep; head -c 1000000 /dev/urandom > /data/one/deep/file; ln /data/one/note /data/one/deep/link; chown -R 1234:99 /data/one/deep; sha256sum /data/one/deep/file > /data/one/sum');
    await apply([snapshot('first', 'one', className('VOLUME_SNAPSHOT_CLASS'))]);
    await ready('volumesnapshot', 'first');
    await inPod('app', 'echo after > /data/one/note');
    await apply([claim('restored', fromSnapshot('first')), claim('cloned', fromClaim('one')), workloadObject(NAMESPACE, 'reader', ['restored', 'cloned'])]);
    await rolledOut('reader');

    const look = (volume: string): Promise<string> => inPod('reader', `cd /data/${volume}; cat note; sed s,/data/one/,, sum | sha256sum -c --quiet; stat -c '%u:%g %h' deep/file deep/link`);
    expect(await look('restored')).toBe('before\n1234:99 1\n1234:99 2');
    expect(await look('cloned')).toBe('after\n1234:99 1\n1234:99 2');
  }, 180_000);

  it('are of one instant in a group snapshot, while a pod writes to both', async () => {
    // One number goes into file after file of both volumes, then the next: at any instant they differ by one at most.
    await inPod('app', 'for volume in one two; do head -c 20000000 /dev/zero > /data/$volume/filler; for k in 1 2 3 4 5; do printf %012d 0 > /data/$volume/n$k; done; done');
    await inPod('app', `nohup sh -c '${COUNTING}' >/dev/null 2>&1 &`);
    await apply([
      {
        apiVersion: 'groupsnapshot.storage.k8s.io/v1',
        kind: 'VolumeGroupSnapshot',
        metadata: { name: 'both', namespace: NAMESPACE },
        spec: { volumeGroupSnapshotClassName: className('VOLUME_GROUP_SNAPSHOT_CLASS'), source: { selector: { matchLabels: { group: 'pair' } } } },
      },
    ]);
    await ready('volumegroupsnapshot', 'both');
    const members = await waitFor('two ready members', 60, async () => {
      const { items } = JSON.parse(await kubectl(['get', 'volumesnapshot', '-n', NAMESPACE, '-o', 'json'])) as { items: (SnapshotLike & { metadata: { name: string }; spec: { source: { volumeSnapshotContentName?: string } } })[] };
      const ours = items.filter(({ status }) => status?.volumeGroupSnapshotName === 'both' && status.readyToUse === true);
      return ours.length === 2 ? ours.map(({ metadata }) => metadata.name) : undefined;
    });
    await apply([...members.map((name, i) => claim(`member-${i}`, fromSnapshot(name))), workloadObject(NAMESPACE, 'pair', ['member-0', 'member-1'])]);
    await rolledOut('pair');

    const numbers = (await inPod('pair', 'for file in /data/member-*/n?; do cat $file; echo; done')).split('\n').map(Number);
    expect(numbers).toHaveLength(10);
    expect(Math.min(...numbers)).toBeGreaterThan(0);
    expect(Math.max(...numbers) - Math.min(...numbers)).toBeLessThanOrEqual(1);
    await goesOn();
  }, 180_000);

  it('outlive their driver: what it was asked for when it died is done by the next one, and who stood still for it goes on', async () => {
    await apply([snapshot('interrupted', 'one', className('VOLUME_SNAPSHOT_CLASS')), claim('interrupted', fromClaim('two'))]);
    await restartDriver(runningInit());
    await ready('volumesnapshot', 'interrupted');
    await boundVolume('interrupted');
    await goesOn();
  }, 120_000);

  it('exist as block devices too', async () => {
    await apply([claim('raw', { volumeMode: 'Block' }), snapshot('raw-snapshot', 'raw', className('VOLUME_SNAPSHOT_CLASS'))]);
    await boundVolume('raw');
    await ready('volumesnapshot', 'raw-snapshot');
  }, 120_000);

  it('can be of a storage whose snapshots take their time, or that refuses them with a reason', async () => {
    await apply([snapshot('slow', 'one', SLOW), snapshot('refused', 'one', REFUSING)]);
    const error = await waitFor('the refusal', 60, async () => (await getObject<SnapshotLike>('volumesnapshot', 'refused', NAMESPACE))?.status?.error?.message);
    expect(error).toContain('no space for snapshots');
    const slow = await ready('volumesnapshot', 'slow');
    expect(Date.now() - Date.parse(slow.status?.creationTime ?? '')).toBeGreaterThanOrEqual(4000);
  }, 120_000);

  it('leave nothing in the driver when everything is deleted', async () => {
    expect(held().length).toBeGreaterThan(before.length + 8);
    await kubectl(['delete', 'deployment', '--all', '-n', NAMESPACE, '--timeout=60s']);
    await kubectl(['delete', 'volumegroupsnapshot', '--all', '-n', NAMESPACE, '--timeout=60s']);
    await kubectl(['delete', 'volumesnapshot,pvc', '--all', '-n', NAMESPACE, '--timeout=90s']);
    await waitFor('the end of every volume and content', 60, async () => {
      const left = await kubectl(['get', 'volumesnapshotcontent,volumegroupsnapshotcontent,pv', '-o', `jsonpath={range .items[*]}{.spec.claimRef.namespace}{.spec.volumeSnapshotRef.namespace}{.spec.volumeGroupSnapshotRef.namespace}{" "}{end}`]);
      return !left.split(' ').includes(NAMESPACE);
    });
    await waitFor('an empty driver', 30, () => Promise.resolve(held().join() === before.join()));
    expect(existsSync(join(environment()['CSI_DIRECTORY'] ?? '', 'stopped.json'))).toBe(false);
  }, 300_000);
});
