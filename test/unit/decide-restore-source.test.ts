import { describe, expect, it } from '@jest/globals';
import type { Backup, Restore, RestoreSpec } from '../../src/api/index.ts';
import { planNewVolumes } from '../../src/decide/new-volume.ts';
import type { ClaimFact } from '../../src/decide/index.ts';
import { chooseBackup } from '../../src/decide/restore-source.ts';
import { bytesOfQuantity, quantityFor } from '../../src/decide/storage-size.ts';

const NOW = Date.parse('2030-06-01T12:00:00Z');

function backup(name: string, completedAt: string, odd: { readonly complete?: boolean; readonly plausible?: boolean; readonly trigger?: 'Safety'; readonly deleting?: boolean; readonly phase?: 'Failed' } = {}): Backup {
  const condition = (type: string, holds: boolean) => ({ type, status: holds ? ('True' as const) : ('False' as const), reason: 'Because', message: '', lastTransitionTime: completedAt });
  return {
    apiVersion: 'backup.dupp.de/v1alpha1',
    kind: 'Backup',
    metadata: { name, uid: `uid-${name}`, resourceVersion: '1', generation: 1, creationTimestamp: completedAt, ...(odd.deleting === true ? { deletionTimestamp: completedAt } : {}) },
    spec: { policy: 'daily', trigger: odd.trigger ?? 'Manual', hold: false, cancel: false },
    status: {
      phase: odd.phase ?? 'Stored',
      completedAt,
      volumes: ['data'],
      bytesProcessed: 3 * 2 ** 30,
      conditions: [condition('Complete', odd.complete !== false), condition('Plausible', odd.plausible !== false)],
    },
  };
}

function restore(spec: Partial<RestoreSpec>): Restore {
  return {
    apiVersion: 'backup.dupp.de/v1alpha1',
    kind: 'Restore',
    metadata: { name: 'back', namespace: 'shop', uid: 'uid-back', resourceVersion: '1', generation: 1, creationTimestamp: '2030-06-01T12:00:00Z' },
    spec: { source: { policy: 'daily', newest: true }, target: { type: 'InPlace' }, extraFiles: 'Delete', safetyBackup: 'Required', cancel: false, ...spec },
  };
}

const backups = [
  backup('may-1', '2030-05-01T02:10:00Z'),
  backup('may-20', '2030-05-20T02:10:00Z'),
  backup('may-21', '2030-05-21T02:10:00Z', { complete: false }),
  backup('may-22', '2030-05-22T02:10:00Z', { plausible: false }),
  backup('may-23', '2030-05-23T02:10:00Z', { trigger: 'Safety' }),
  backup('may-24', '2030-05-24T02:10:00Z', { deleting: true }),
  backup('may-25', '2030-05-25T02:10:00Z', { phase: 'Failed' }),
];

describe('the backup that is restored', () => {
  it.each([
    ['the newest good one, not a newer one that lacks files, is in doubt, is a safety backup, goes, or failed', { policy: 'daily', newest: true }, backups, 'may-20'],
    ['the newest at that time', { policy: 'daily', asOf: '2030-05-20T02:10:00Z' }, backups, 'may-20'],
    ['the one before, a second earlier', { policy: 'daily', asOf: '2030-05-20T02:09:59Z' }, backups, 'may-1'],
    ['the same time in another zone', { policy: 'daily', asOf: '2030-05-20T04:09:59+02:00' }, backups, 'may-1'],
  ])('is %s', (_, source, there, name) => {
    expect(chooseBackup(restore({ source }), there, NOW)).toMatchObject({ ok: true, backup: { metadata: { name } } });
  });

  it.each([
    ['there is none', { policy: 'daily', newest: true }, [], 'NoGoodBackup', /BackupPolicy daily has no good backup/],
    ['none is good', { policy: 'daily', newest: true }, backups.slice(2), 'NoGoodBackup', /none is stored, complete and beyond doubt/],
    ['all are younger', { policy: 'daily', asOf: '2030-05-01T02:09:59Z' }, backups, 'NoBackupBefore', /The oldest one, may-1, was stored at 2030-05-01T02:10:00Z/],
    ['there is none at any time', { policy: 'daily', asOf: '2030-05-01T02:09:59Z' }, [], 'NoBackupBefore', /It has none at all/],
    ['the time is still to come', { policy: 'daily', asOf: '2030-06-01T12:00:01Z' }, backups, 'AsOfInFuture', /still to come/],
  ])('is refused when %s', (_, source, there, reason, message) => {
    expect(chooseBackup(restore({ source }), there, NOW)).toMatchObject({ ok: false, reason, message: expect.stringMatching(message) });
  });
});

const claim = (name: string, odd: Partial<ClaimFact> = {}): ClaimFact => ({
  name,
  uid: `uid-${name}`,
  phase: 'Bound',
  volumeMode: 'Filesystem',
  accessModes: ['ReadWriteOnce'],
  deleting: false,
  size: '20Gi',
  storageClassName: 'fast',
  ...odd,
});

describe('a new volume', () => {
  const source = backup('may-20', '2030-05-20T02:10:00Z');
  const plan = (newVolume: Partial<NonNullable<RestoreSpec['target']['newVolume']>>, claims: readonly ClaimFact[], names = ['data'], from = source) =>
    planNewVolumes(restore({ target: { type: 'NewVolume', newVolume: { name: '{claim}-{restore}', ...newVolume } } }), from, names, claims);

  it.each([
    ['is like the claim in the backup', {}, [claim('data')], { name: 'data-back', size: '20Gi', storageClassName: 'fast', accessModes: ['ReadWriteOnce'] }],
    ['is as it is asked for', { name: 'x-{claim}', size: '5Gi', storageClassName: 'slow', accessModes: ['ReadWriteMany' as const] }, [claim('data')], { name: 'x-data', size: '5Gi', storageClassName: 'slow', accessModes: ['ReadWriteMany'] }],
    ["has the cluster's class and room to spare where the claim is gone", {}, [], { name: 'data-back', size: '4Gi', accessModes: ['ReadWriteOnce'], storageClassName: undefined }],
    ["has the cluster's class where the claim was bound by hand", {}, [claim('data', { storageClassName: '' })], { size: '20Gi', storageClassName: undefined }],
    ['may be smaller than files with holes look', { size: '2Gi' }, [claim('data', { size: '2Gi' })], { size: '2Gi' }],
    ['can be written, whatever the source was', {}, [claim('data', { accessModes: ['ReadOnlyMany'] })], { accessModes: ['ReadWriteOnce'] }],
  ])('%s', (_, newVolume, claims, wanted) => {
    const planned = plan(newVolume, claims);
    const [volume] = planned.ok ? planned.volumes : [];
    expect({ storageClassName: undefined, ...volume }).toMatchObject({ claim: 'data', ...wanted });
  });

  it.each([
    ['a name that is taken', {}, [claim('data'), claim('data-back')], ['data'], 'NewVolumeNameTaken'],
    ['a name that another restore gave', {}, [claim('data'), claim('data-back', { restoreUid: 'uid-other' })], ['data'], 'NewVolumeNameTaken'],
    ['one name for two', { name: 'same' }, [claim('data'), claim('logs')], ['data', 'logs'], 'NewVolumeNameInvalid'],
    ['a name that ends wrongly', { name: '{claim}-' }, [claim('data')], ['data'], 'NewVolumeNameInvalid'],
    ['less room than the data need', { size: '2Gi' }, [claim('data')], ['data'], 'NewVolumeTooSmall'],
  ])('is refused with %s', (_, newVolume, claims, names, reason) => {
    expect(plan(newVolume, claims, names)).toMatchObject({ ok: false, reason });
  });

  it('of our own is no stranger, so that a crash after making it repeats nothing', () => {
    expect(plan({}, [claim('data'), claim('data-back', { restoreUid: 'uid-back' })])).toMatchObject({ ok: true });
  });
});

describe('sizes of volumes', () => {
  it.each([
    ['20Gi', 20 * 2 ** 30],
    ['1.5G', 1.5e9],
    ['1e3', 1000],
    ['1048576', 1_048_576],
    ['5 Gi', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s is %p bytes', (text, bytes) => {
    expect(bytesOfQuantity(text)).toBe(bytes);
  });

  it('leave a quarter for the file system', () => {
    expect([0, 2 ** 30, 100 * 2 ** 30].map(quantityFor)).toEqual(['1Gi', '2Gi', '125Gi']);
  });
});
