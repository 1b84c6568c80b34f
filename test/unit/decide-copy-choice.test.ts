import { describe, expect, it } from '@jest/globals';
import { chooseCopies } from '../../src/decide/copy-choice.ts';
import type { StorageFacts } from '../../src/decide/copy-facts.ts';
import type { ClaimFact } from '../../src/decide/observed.ts';
import { largerQuantity } from '../../src/decide/storage-size.ts';
import { NO_STORAGE } from '../support/storage-facts.ts';

function claim(changed: Partial<ClaimFact> = {}): ClaimFact {
  return { name: 'data', uid: 'u', phase: 'Bound', volumeMode: 'Filesystem', accessModes: ['ReadWriteOnce'], deleting: false, storageClassName: 'fast', driver: 'csi.a', size: '1Gi', ...changed };
}

const snap = (name: string, driver = 'csi.a', isDefault = false) => ({ name, driver, isDefault });
const with_ = (changed: Partial<StorageFacts>): StorageFacts => ({ ...NO_STORAGE, ...changed });
const ONE = with_({ snapshotClasses: [snap('a')] });
const CLONES = with_({ snapshotClasses: [], cloningClasses: new Set(['fast']) });

type Wish = Parameters<typeof chooseCopies>[0];

function outcome(wish: Wish, claims: readonly ClaimFact[], storage: StorageFacts): string {
  const chosen = chooseCopies(wish, claims, storage);
  if (!chosen.ok) return chosen.reason;
  return `${chosen.copies.map(({ claim: name, method, className }) => [name, method, className].filter(Boolean).join(' ')).join(', ')} in ${chosen.namespace ?? 'home'}`;
}

describe('how a volume is read', () => {
  it.each<[string, Wish, Partial<ClaimFact>, StorageFacts, string]>([
    ['Auto takes a snapshot', { copyMethod: 'Auto' }, {}, ONE, 'data Snapshot a in movers'],
    ['Auto of a driver without class reads live', { copyMethod: 'Auto' }, { driver: 'csi.b' }, ONE, 'data Direct in home'],
    ['Auto clones where somebody said that it can', { copyMethod: 'Auto' }, {}, CLONES, 'data Clone fast in home'],
    ['Auto without any snapshot API clones too', { copyMethod: 'Auto' }, {}, with_({ cloningClasses: new Set(['fast']) }), 'data Clone fast in home'],
    ['Auto of a volume without CSI reads live', { copyMethod: 'Auto' }, { driver: undefined }, with_({ snapshotClasses: [snap('a')], cloningClasses: new Set(['fast']) }), 'data Direct in home'],
    ['Auto with no storage at all reads live', { copyMethod: 'Auto' }, {}, NO_STORAGE, 'data Direct in home'],
    ['Auto with several classes takes the default', { copyMethod: 'Auto' }, {}, with_({ snapshotClasses: [snap('a'), snap('b', 'csi.a', true)] }), 'data Snapshot b in movers'],
    ['Auto with several classes and no default reads live', { copyMethod: 'Auto' }, {}, with_({ snapshotClasses: [snap('a'), snap('b')] }), 'data Direct in home'],
    ['Auto with several classes takes the named one', { copyMethod: 'Auto', snapshotClassName: 'a' }, {}, with_({ snapshotClasses: [snap('a'), snap('b')] }), 'data Snapshot a in movers'],
    ['a named class of another driver leaves this one its own', { copyMethod: 'Snapshot', snapshotClassName: 'b' }, {}, with_({ snapshotClasses: [snap('a'), snap('b', 'csi.b')] }), 'data Snapshot a in movers'],
    ['Snapshot with two defaults is refused', { copyMethod: 'Snapshot' }, {}, with_({ snapshotClasses: [snap('a', 'csi.a', true), snap('b', 'csi.a', true)] }), 'SnapshotClassAmbiguous'],
    ['Snapshot with several and no default is refused', { copyMethod: 'Snapshot' }, {}, with_({ snapshotClasses: [snap('a'), snap('b')] }), 'SnapshotClassAmbiguous'],
    ['Snapshot without a class is refused', { copyMethod: 'Snapshot' }, {}, CLONES, 'SnapshotClassMissing'],
    ['Snapshot by a class that is not there is refused', { copyMethod: 'Snapshot', snapshotClassName: 'x' }, {}, ONE, 'SnapshotClassMissing'],
    ['Snapshot without the API is refused', { copyMethod: 'Snapshot' }, {}, NO_STORAGE, 'SnapshotsUnavailable'],
    ['Snapshot of no CSI volume is refused', { copyMethod: 'Snapshot' }, { driver: undefined }, ONE, 'VolumeNotCSI'],
    ['Clone needs nobody to say that it can', { copyMethod: 'Clone' }, {}, ONE, 'data Clone fast in home'],
    ['Clone of no CSI volume is refused', { copyMethod: 'Clone' }, { driver: undefined }, ONE, 'VolumeNotCSI'],
    ['Clone without a StorageClass is refused', { copyMethod: 'Clone' }, { storageClassName: '' }, ONE, 'StorageClassMissing'],
    ['Direct is done whatever the driver can', { copyMethod: 'Direct' }, {}, ONE, 'data Direct in home'],
    ['a volume of one pod is snapshotted', { copyMethod: 'Auto' }, { accessModes: ['ReadWriteOncePod'] }, ONE, 'data Snapshot a in movers'],
    ['a volume of one pod is cloned', { copyMethod: 'Auto' }, { accessModes: ['ReadWriteOncePod'] }, CLONES, 'data Clone fast in home'],
    ['a volume of one pod is not read live', { copyMethod: 'Direct' }, { accessModes: ['ReadWriteOncePod'] }, ONE, 'VolumeSinglePod'],
    ['a volume of one pod that cannot be copied is refused', { copyMethod: 'Auto' }, { accessModes: ['ReadWriteOncePod'] }, NO_STORAGE, 'VolumeSinglePod'],
    ['a shared volume is snapshotted', { copyMethod: 'Auto' }, { accessModes: ['ReadWriteMany'] }, ONE, 'data Snapshot a in movers'],
    ['no namespace for movers is refused', { copyMethod: 'Auto' }, {}, with_({ snapshotClasses: [snap('a')], moverNamespace: { name: 'movers', exists: false } }), 'MoverNamespaceMissing'],
    ['but is nothing to what is read live', { copyMethod: 'Direct' }, {}, with_({ moverNamespace: { name: 'movers', exists: false } }), 'data Direct in home'],
  ])('%s', (_what, wish, changed, storage, expected) => {
    expect(outcome(wish, [claim(changed)], storage)).toBe(expected);
  });

  it('is decided for each volume; one that is read live keeps the mover at home', () => {
    expect(outcome({ copyMethod: 'Auto' }, [claim(), claim({ name: 'logs', driver: 'csi.b' })], ONE)).toBe('data Snapshot a, logs Direct in home');
  });

  it.each<[string, Partial<StorageFacts>, readonly Partial<ClaimFact>[], 'Auto' | 'Never', string | undefined]>([
    ['two volumes of a driver that has a class', { groupClasses: [snap('g')] }, [{}, { name: 'logs' }], 'Auto', 'g'],
    ['one volume', { groupClasses: [snap('g')] }, [{}], 'Auto', undefined],
    ['volumes of two drivers', { groupClasses: [snap('g')], snapshotClasses: [snap('a'), snap('b', 'csi.b')] }, [{}, { name: 'logs', driver: 'csi.b' }], 'Auto', undefined],
    ['a driver without a class', { groupClasses: [snap('g', 'csi.b')] }, [{}, { name: 'logs' }], 'Auto', undefined],
    ['several classes and no default', { groupClasses: [snap('g'), snap('h')] }, [{}, { name: 'logs' }], 'Auto', undefined],
    ['several classes and a default', { groupClasses: [snap('g'), snap('h', 'csi.a', true)] }, [{}, { name: 'logs' }], 'Auto', 'h'],
    ['a policy that wants none', { groupClasses: [snap('g')] }, [{}, { name: 'logs' }], 'Never', undefined],
  ])('of %s is decided whether they are cut as a group', (_what, storage, claims, groupSnapshot, expected) => {
    const chosen = chooseCopies({ copyMethod: 'Auto', groupSnapshot }, claims.map(claim), with_({ snapshotClasses: [snap('a')], ...storage }));
    expect(chosen.ok && chosen.groupClass).toBe(expected);
  });

  it('says why a lesser way was taken', () => {
    const chosen = chooseCopies({ copyMethod: 'Auto' }, [claim()], with_({ snapshotClasses: [snap('a'), snap('b')] }));
    expect(chosen.ok && chosen.copies[0]?.because).toMatch(/^No snapshot: Driver csi\.a has several VolumeSnapshotClasses \(a, b\) and none is the default/);
  });
});

describe('quantities', () => {
  it('are compared by size and kept as written', () => {
    expect(largerQuantity('1Gi', '1025Mi')).toBe('1025Mi');
    expect(largerQuantity('1Gi', '1000M')).toBe('1Gi');
    expect(largerQuantity(undefined, '1Mi')).toBe('1Mi');
    expect(largerQuantity('1Mi', undefined)).toBe('1Mi');
  });
});
