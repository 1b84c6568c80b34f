// Faults in what people applied or forgot: nothing moves, and the condition says what is missing.
import { apply, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, type StatusLike } from '../../support/cluster.ts';
import { backupObject, policyObject, volumeObjects } from '../../support/customer.ts';
import { CLAIM, SHARED_LOCATION, type Fault } from './fault.ts';

const backup = { kind: 'bk', name: 'backup', condition: 'Stored' } as const;

export const BAD_INPUT: readonly Fault[] = [
  {
    fault: 'missing policy',
    id: 'no-policy',
    shows: backup,
    reason: 'PolicyMissing',
    message: /BackupPolicy weekly does not exist.*Create it/,
    within: 5,
    arrange: (place) => place.customer(),
    strike: (place) => place.backup('backup', 'weekly'),
    mend: async (place) => {
      await apply([policyObject(place.namespace, 'weekly', { location: SHARED_LOCATION })]);
      await place.stored();
    },
  },
  {
    fault: 'missing volume',
    id: 'no-volume',
    shows: backup,
    reason: 'VolumeMissing',
    message: /PersistentVolumeClaim later does not exist/,
    within: 5,
    arrange: (place) => place.customer({ policySpec: { volumes: [CLAIM, 'later'] }, ready: false }),
    strike: (place) => place.backup(),
    mend: async (place) => {
      await kubectl(['patch', 'bp', 'daily', '-n', place.namespace, '--type=merge', '-p', `{"spec":{"volumes":["${CLAIM}"]}}`]);
      await place.stored();
    },
  },
  {
    fault: 'unbound volume',
    id: 'unbound',
    shows: backup,
    reason: 'VolumeUnbound',
    message: /PersistentVolumeClaim data is Pending, not Bound/,
    within: 5,
    arrange: async (place) => {
      await place.customer({ volumes: {}, ready: false });
      const [, claim] = volumeObjects({ namespace: place.namespace, claim: CLAIM, directory: place.directory() });
      await apply(claim === undefined ? [] : [claim]);
    },
    strike: (place) => place.backup(),
    mend: async (place) => {
      const [volume] = volumeObjects({ namespace: place.namespace, claim: CLAIM, directory: place.directory() });
      await apply(volume === undefined ? [] : [volume]);
      await place.stored();
    },
  },
  {
    fault: 'a namespace without volumes',
    id: 'no-volumes',
    shows: backup,
    reason: 'NoVolumes',
    message: /no PersistentVolumeClaim, so there is nothing to back up/,
    within: 5,
    arrange: (place) => place.customer({ volumes: {}, ready: false }),
    strike: (place) => place.backup(),
  },
  {
    fault: 'location missing',
    id: 'no-location',
    shows: backup,
    reason: 'LocationMissing',
    message: /BackupLocation fault-no-location does not exist/,
    within: 5,
    arrange: (place) => place.customer({ location: place.namespace, ready: false }),
    strike: (place) => place.backup(),
  },
  {
    fault: 'location not ready',
    id: 'not-ready',
    shows: backup,
    reason: 'LocationNotReady',
    message: /BackupLocation fault-not-ready is not ready: Unavailable: .*:1\b/,
    within: 15,
    arrange: async (place) => {
      const location = await place.ownLocation({ endpoint: `http://${environment()['GROUND_ADDRESS'] ?? '127.0.0.1'}:1` });
      await place.customer({ location, ready: false });
    },
    strike: (place) => place.backup(),
  },
  {
    fault: 'wrong S3 credentials',
    id: 'credentials',
    shows: { kind: 'bl', name: 'fault-credentials', condition: 'Ready' },
    reason: 'BadCredentials',
    message: /credentials|access key|secret key/i,
    within: 10,
    strike: async (place) => {
      await place.ownLocation({ secretAccessKey: 'not-the-secret-key' });
    },
    mend: async (place) => {
      const location = place.namespace;
      await place.customer({ location, ready: false });
      await place.backup();
      await waitForCondition('bk', 'backup', place.namespace, { type: 'Stored', status: 'False', reason: 'LocationNotReady' }, 10);
      await place.ownLocation({});
      await place.stored();
    },
  },
  {
    fault: 'bucket missing',
    id: 'bucket',
    shows: { kind: 'bl', name: 'fault-bucket', condition: 'Ready' },
    reason: 'BucketMissing',
    message: /no-such-bucket/,
    within: 10,
    strike: async (place) => {
      const env = environment();
      await place.ownLocation({
        bucket: 'no-such-bucket',
        accessKeyId: env['S3_A_ROOT_ACCESS_KEY_ID'] ?? '',
        secretAccessKey: env['S3_A_ROOT_SECRET_ACCESS_KEY'] ?? '',
      });
    },
  },
  {
    fault: 'a restore of a backup that does not exist',
    id: 'no-source',
    shows: { kind: 'brs', name: 'back', condition: 'Succeeded' },
    reason: 'SourceMissing',
    message: /Backup nowhere/,
    within: 5,
    arrange: (place) => place.customer(),
    strike: (place) => place.restore('back', 'nowhere'),
  },
  {
    fault: 'two Backups for the seventh place at once',
    id: 'seventh',
    shows: { kind: 'bk', name: 'b7 or b8', condition: 'Stored' },
    reason: 'QuotaFull',
    message: /^7 of 7 backups are kept; delete one first/,
    within: 20,
    arrange: async (place) => {
      await place.customer();
      await create(Array.from({ length: 6 }, (_, i) => backupObject(place.namespace, `b${i + 1}`, 'daily')));
      await waitFor('six slots', 30, async () => ((await getObject<StatusLike>('bp', 'daily', place.namespace))?.status?.['quota'] as { used?: number } | undefined)?.used === 6);
    },
    strike: async (place) => {
      await Promise.all(['b7', 'b8'].map((name) => place.backup(name)));
      const refused = await waitFor('one to be refused', 20, async () => (await listObjects<StatusLike>('bk', place.namespace)).find(({ status }) => status?.phase === 'Rejected'));
      return refused.metadata.name;
    },
  },
];
