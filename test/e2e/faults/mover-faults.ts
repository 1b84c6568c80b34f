// Faults that meet a mover on its way or at work.
import { setTimeout as sleep } from 'node:timers/promises';
import { runInside } from '../../ground/namespaces.ts';
import { runningInit } from '../../ground/record.ts';
import { environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase } from '../../support/cluster.ts';
import { tenantIdOf, keysBelow } from '../../support/bucket.ts';
import { killContainer, signalContainer, SLOW_LOCATION, SLOW_MOVER, type Fault, type Place } from './fault.ts';
import { KmsGate } from './kms-gate.ts';
import { flipBitOfIndex, swapWrappings, writeConfigOfVersion } from './tampering.ts';

const backup = { kind: 'bk', name: 'backup', condition: 'Stored' } as const;
const second = { ...backup, name: 'second' } as const;
const LARGE = 96 << 20;
/** A node label that the location of one row asks for and no node has, until the row says so. */
const HOLD = 'tenant-backup-test/hold';

const gates = new Map<string, KmsGate>();

async function customerWithBackup(place: Place): Promise<void> {
  await place.customer();
  await place.backup();
  await place.stored();
}

/** An attempt may have left a snapshot, so what forgets runs at the same location: it must work before anything can be let go. */
async function cancelAtMendedLocation(place: Place): Promise<void> {
  await place.ownLocation({});
  await place.cancel();
}

async function largeBackupUnderWay(place: Place): Promise<void> {
  await place.customer({ location: SLOW_LOCATION, bytes: LARGE });
  await place.backup();
  await place.runningMover();
}

/** A file system of a few MiB at the place's directory, as the node sees it. */
async function inDirectory(place: Place, script: string): Promise<void> {
  await runInside(runningInit(), `mkdir -p '${place.directory()}' && cd '${place.directory()}' && ${script}`);
}

export const MOVER_FAULTS: readonly Fault[] = [
  {
    fault: 'mover that hangs',
    id: 'hangs',
    shows: backup,
    reason: 'Stalled',
    message: /Pod \S+ of the mover on node \S+ has read, stored and written nothing since \S+ and is ended.*stalledAfter.*Look whether the volume/s,
    // Three minutes are the least; what it said last may be up to a half minute of them old, and the log is asked once more.
    within: 280,
    arrange: async (place) => {
      await place.customer({ location: await place.ownLocation({ mover: { ...SLOW_MOVER, stalledAfter: '3m' } }), bytes: LARGE });
      await place.backup();
    },
    strike: async (place) => {
      await signalContainer((await place.runningMover()).container, 'SIGSTOP');
    },
    mend: async (place) => {
      await place.stored('backup', place.namespace, 180);
      const status = (await getObject<{ status: { attempt: number } }>('bk', 'backup', place.namespace))?.status;
      if (status?.attempt !== 2) throw new Error(`the backup took ${status?.attempt ?? 0} attempts, not the one that hung and one more`);
    },
  },
  {
    fault: 'KMS refusing',
    id: 'kms',
    shows: second,
    reason: 'KeyDisabled',
    message: /key is disabled; enable it/,
    within: 20,
    arrange: async (place) => {
      const gate = await KmsGate.open();
      gates.set(place.namespace, gate);
      place.atEnd(() => gate.close());
      await place.customer({ location: await place.ownLocation({ kmsEndpoint: gate.endpoint }) });
      await place.backup();
      await place.stored();
    },
    strike: async (place) => {
      gates.get(place.namespace)?.refuseDecrypt(true);
      await place.backup('second');
    },
    mend: async (place) => {
      gates.get(place.namespace)?.refuseDecrypt(false);
      await place.backup('third');
      await place.stored('third');
    },
  },
  {
    fault: 'a wrapping of another tenant',
    id: 'wrapping',
    shows: second,
    reason: 'WrongTenant',
    message: /tenant/,
    within: 30,
    beyondForgetting: true,
    arrange: async (place) => {
      await customerWithBackup(place);
      const victim = `${place.namespace}-victim`;
      await place.customer({ namespace: victim });
      await place.backup('backup', 'daily', victim);
      await place.stored('backup', victim);
      await swapWrappings(victim, place.namespace);
    },
    strike: (place) => place.backup('second'),
  },
  {
    fault: 'repository damaged',
    id: 'damaged',
    shows: second,
    reason: 'Damaged',
    message: /index.*`tenant-backup check`/s,
    within: 30,
    beyondForgetting: true,
    arrange: async (place) => {
      await customerWithBackup(place);
      await flipBitOfIndex(place.namespace);
    },
    strike: (place) => place.backup('second'),
  },
  {
    fault: 'repository of an unknown version',
    id: 'version',
    shows: second,
    reason: 'UnknownVersion',
    message: /format version 9/,
    within: 30,
    beyondForgetting: true,
    arrange: async (place) => {
      await customerWithBackup(place);
      await writeConfigOfVersion(place.namespace, 9);
    },
    strike: (place) => place.backup('second'),
  },
  {
    fault: 'disk full in restore',
    id: 'disk-full',
    shows: { kind: 'brs', name: 'back', condition: 'Succeeded' },
    reason: 'NoSpace',
    message: /data.*full|space/i,
    within: 20,
    arrange: async (place) => {
      await inDirectory(place, 'mount -t tmpfs -o size=8m tmpfs .');
      await inDirectory(place, 'head -c 5000000 /dev/urandom > document');
      await place.customer({ bytes: 1 });
      await place.backup();
      await place.stored();
      await inDirectory(place, 'rm document && head -c 6000000 /dev/urandom > filler');
    },
    strike: (place) => place.restore('back', 'backup', { extraFiles: 'Keep', safetyBackup: 'Skip' }),
    mend: async (place) => {
      await inDirectory(place, 'rm filler');
      await place.restore('again', 'backup', { extraFiles: 'Delete', safetyBackup: 'Skip' });
      await waitForPhase('brs', 'again', place.namespace, ['Succeeded'], 60);
      await inDirectory(place, 'test $(stat -c %s document) = 5000000');
      await inDirectory(place, 'cd / && umount -l "$OLDPWD"');
    },
  },
  {
    fault: 'image not pullable',
    id: 'image',
    shows: backup,
    reason: 'ImageNotPullable',
    message: /localhost:1\/no-such-image.*Check spec\.mover\.image of the BackupLocation/s,
    within: 15,
    arrange: async (place) => {
      const location = await place.ownLocation({ mover: { image: 'localhost:1/no-such-image:1' } });
      await place.customer({ location });
    },
    strike: (place) => place.backup(),
    mend: cancelAtMendedLocation,
  },
  {
    fault: 'no node takes the mover',
    id: 'no-node',
    shows: backup,
    reason: 'Unschedulable',
    message: /No node takes the mover/,
    within: 10,
    arrange: async (place) => {
      const location = await place.ownLocation({ mover: { nodeSelector: { 'tenant-backup-test/nowhere': 'true' } } });
      await place.customer({ location });
    },
    strike: (place) => place.backup(),
    mend: cancelAtMendedLocation,
  },
  {
    fault: "a Secret missing in the mover's pod",
    id: 'secret',
    shows: backup,
    reason: 'VolumeNotMounted',
    message: /secret "tbmover-\S+" not found/,
    within: 20,
    arrange: async (place) => {
      const location = await place.ownLocation({ mover: { nodeSelector: { [HOLD]: 'go' } } });
      await place.customer({ location });
      await place.backup();
      await waitForCondition('bk', 'backup', place.namespace, { type: 'Stored', status: 'False', reason: 'Unschedulable' }, 20);
    },
    strike: async (place) => {
      await kubectl(['delete', 'secrets', '-n', place.namespace, '-l', 'app.kubernetes.io/managed-by=tenant-backup']);
      place.atEnd(() => kubectl(['label', 'node', environment()['NODE_NAME'] ?? '', `${HOLD}-`]));
      await kubectl(['label', 'node', environment()['NODE_NAME'] ?? '', `${HOLD}=go`, '--overwrite']);
    },
    mend: (place) => place.cancel(),
  },
  {
    fault: 'mover out of memory',
    id: 'memory',
    shows: backup,
    reason: 'OOMKilled',
    message: /Attempt 1 of 4 failed and is made again.*Raise spec\.mover\.resources\.limits\.memory/,
    within: 20,
    arrange: async (place) => {
      const resources = { requests: { memory: '16Mi' }, limits: { memory: '48Mi' } };
      await place.customer({ location: await place.ownLocation({ mover: { resources } }) });
    },
    strike: (place) => place.backup(),
    mend: async (place) => {
      await place.ownLocation({ mover: { resources: { requests: { memory: '64Mi' }, limits: { memory: '1Gi' } } } });
      await place.stored('backup', place.namespace, 60);
    },
  },
  {
    fault: 'mover killed',
    id: 'killed',
    shows: backup,
    reason: 'MoverLost',
    message: /Attempt 1 of 4 failed and is made again.*ended with status 137/,
    within: 15,
    arrange: largeBackupUnderWay,
    strike: async (place) => {
      await killContainer((await place.runningMover()).container);
    },
    mend: (place) => place.stored('backup', place.namespace, 120),
  },
  {
    fault: 'Backup deleted while it runs',
    id: 'deleted',
    shows: { kind: 'bk', name: 'backup', condition: 'Deleted' },
    reason: 'Stopping',
    message: /mover is being stopped/,
    within: 5,
    withoutEvent: true,
    arrange: largeBackupUnderWay,
    strike: async (place) => {
      await kubectl(['delete', 'bk', 'backup', '-n', place.namespace, '--wait=false']);
    },
    mend: async (place) => {
      await waitFor('the Backup to be gone', 60, async () => (await getObject('bk', 'backup', place.namespace)) === undefined || undefined);
      const keys = await keysBelow(`${SLOW_LOCATION}/tenants/${await tenantIdOf(place.namespace)}/g1`);
      const left = keys.filter((key) => /^(snapshots|manifests|locks)\//.test(key));
      if (left.length > 0) throw new Error(`left in the bucket: ${left.join(', ')}`);
    },
  },
  {
    fault: 'namespace deleted while it runs',
    id: 'ns-deleted',
    shows: { kind: 'bt', name: '', condition: 'NamespaceExists' },
    reason: 'Deleted',
    message: /namespace/i,
    within: 45,
    arrange: largeBackupUnderWay,
    strike: async (place) => {
      const tenants = await listObjects<{ metadata: { name: string }; spec: { namespace: string; tenantId: string } }>('bt');
      const id = await tenantIdOf(place.namespace);
      await kubectl(['delete', 'namespace', place.namespace, '--wait=false']);
      return tenants.find(({ spec }) => spec.tenantId === id)?.metadata.name;
    },
    mend: async (place) => {
      await waitFor('the namespace to be gone', 60, async () => (await getObject('namespace', place.namespace)) === undefined || undefined);
    },
  },
];

function lease(field: 'holderIdentity' | 'renewTime'): Promise<string> {
  return kubectl(['get', 'lease', 'tenant-backup', '-n', 'tenant-backup-system', '-o', `jsonpath={.spec.${field}}`]);
}

/** What hits everybody, so that it runs when no other row does. */
export const FAULTS_OF_ALL: readonly Fault[] = [
  {
    fault: 'operator killed',
    id: 'operator',
    shows: backup,
    reason: 'Stored',
    message: /./,
    within: 60,
    withoutEvent: true,
    arrange: largeBackupUnderWay,
    strike: async () => {
      const pod = await lease('holderIdentity');
      const container = await kubectl(['get', 'pod', pod, '-n', 'tenant-backup-system', '-o', 'jsonpath={.status.containerStatuses[0].containerID}']);
      await killContainer(container.replace(/^.*:\/\//, ''));
      // Whichever leads next: the same pod may, started again.
      const renewedAt = await lease('renewTime');
      await waitFor('a leader', 45, async () => (await lease('renewTime')) !== renewedAt || undefined);
    },
    mend: async (place) => {
      await sleep(1000);
      const status = (await getObject<{ status: { attempt: number } }>('bk', 'backup', place.namespace))?.status;
      if (status?.attempt !== 1) throw new Error(`the backup took ${status?.attempt ?? 0} attempts; the operator's end should not touch a mover`);
      await waitFor('both operators to be ready', 60, async () =>
        (await kubectl(['get', 'deployment', 'tenant-backup', '-n', 'tenant-backup-system', '-o', 'jsonpath={.status.readyReplicas}'])) === '2' || undefined,
      );
    },
  },
];

