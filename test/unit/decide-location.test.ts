import { describe, expect, it } from '@jest/globals';
import type { BackupLocation, BackupLocationStatus } from '../../src/api/index.ts';
import { isReady, locationStatus, nextProbeIn, nextProofIn, type LocationFacts, type LockFinding } from '../../src/decide/location.ts';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const LATER = NOW + 60_000;
const good = { ok: true, message: 'fine' } as const;
const bad = (reason: string) => ({ ok: false, reason, message: `${reason}.` }) as const;

function facts(changed: Partial<LocationFacts> = {}): LocationFacts {
  return { storageReachable: good, storageWritable: good, keyUsable: good, storageIsolated: good, keysIsolated: good, tenants: 2, runningMovers: 0, ...changed };
}

const lock = (kind: LockFinding['kind'], reason: string): LockFinding => ({ kind, reason, message: `${reason}.` });

function location(status?: BackupLocationStatus): BackupLocation {
  // The decision reads no more of it than this.
  return { metadata: { name: 'here', generation: 3 }, ...(status ? { status } : {}) } as BackupLocation;
}

function ready(changed: Partial<LocationFacts>) {
  return locationStatus(location(), facts(changed), NOW).conditions?.find(({ type }) => type === 'Ready');
}

describe('locationStatus', () => {
  it.each<[string, Partial<LocationFacts>, string, string]>([
    ['all is well', {}, 'True', 'Usable'],
    ['the bucket is missing', { storageReachable: bad('BucketMissing'), storageWritable: bad('NotTried') }, 'False', 'BucketMissing'],
    ['writing is denied', { storageWritable: bad('AccessDenied') }, 'False', 'AccessDenied'],
    ['the key is disabled', { keyUsable: bad('KeyDisabled') }, 'False', 'KeyDisabled'],
    ['the key of the second data center is missing', { replicaKeyUsable: bad('KeyNotFound') }, 'False', 'KeyNotFound'],
    ['storage and key are wrong: storage is told first', { keyUsable: bad('KeyDisabled'), storageWritable: bad('NoSpace') }, 'False', 'NoSpace'],
    ['the second bucket lets versions go', { replicaLocked: lock('refuted', 'NotImmutable') }, 'False', 'NotImmutable'],
    ['the second data center does not answer, which stops nobody', { replicaLocked: lock('unknown', 'Timeout') }, 'True', 'Usable'],
    ['movers share credentials, which is told but stops nobody', { storageIsolated: bad('StorageShared') }, 'True', 'Usable'],
  ])('when %s', (_, changed, status, reason) => {
    expect(ready(changed)).toMatchObject({ status, reason, observedGeneration: 3 });
    expect(locationStatus(location(), facts(changed), NOW).phase).toBe(status === 'True' ? 'Ready' : 'NotReady');
    expect(isReady(facts(changed))).toBe(status === 'True');
  });

  it('says of each kind of isolation what is missing', () => {
    const { conditions } = locationStatus(location(), facts({ storageIsolated: bad('StorageShared'), keysIsolated: bad('KeysShared'), workersIsolated: bad('WorkersShareCredentials') }), NOW);
    expect(conditions?.find(({ type }) => type === 'Isolated')).toMatchObject({ status: 'False', reason: 'StorageShared', message: 'StorageShared. KeysShared. WorkersShareCredentials.' });
  });

  it('speaks of the second key only where there is one', () => {
    const types = (changed: Partial<LocationFacts>) => locationStatus(location(), facts(changed), NOW).conditions?.map(({ type }) => type);
    expect(types({})).not.toContain('ReplicaKeyUsable');
    expect(types({ replicaKeyUsable: good })).toContain('ReplicaKeyUsable');
  });

  it('is the same a minute later when nothing changed, so that nothing is written', () => {
    const first = locationStatus(location(), facts(), NOW);
    expect(locationStatus(location(first), facts(), LATER)).toEqual(first);
  });

  it('is the same also as the API server gives it back, with its keys in another order', () => {
    const first = locationStatus(location(), facts(), NOW);
    const conditions = first.conditions?.map(({ lastTransitionTime, message, observedGeneration, reason, status, type }) => ({ lastTransitionTime, message, observedGeneration, reason, status, type }));
    expect(locationStatus(location({ ...first, conditions }), facts(), LATER)).toEqual(first);
  });

  it('moves the time of a condition only when its status changes', () => {
    const first = locationStatus(location(), facts({ keyUsable: bad('Timeout') }), NOW);
    const other = locationStatus(location(first), facts({ keyUsable: bad('KeyDisabled') }), LATER);
    const mended = locationStatus(location(other), facts(), LATER);
    const at = (status: BackupLocationStatus) => status.conditions?.find(({ type }) => type === 'KeyUsable')?.lastTransitionTime;
    expect(at(other)).toBe(at(first));
    expect(at(mended)).toBe('2026-03-01T10:01:00Z');
    expect(mended.lastProbe).toBe('2026-03-01T10:01:00Z');
  });
});

describe('nextProbeIn', () => {
  it.each([
    [0, 300_000],
    [1, 1000],
    [2, 2000],
    [6, 32_000],
    [7, 60_000],
    [500, 60_000],
  ])('after %i failures in a row is %i ms', (failures, ms) => {
    expect(nextProbeIn(failures)).toBe(ms);
  });
});

describe('the lock of the second bucket', () => {
  const condition = (changed: Partial<LocationFacts>, status?: BackupLocationStatus) => locationStatus(location(status), facts(changed), NOW).conditions?.find(({ type }) => type === 'ReplicaLocked');

  it.each<[LockFinding['kind'], string, string | undefined, string]>([
    ['proven', 'True', undefined, 'Why.'],
    ['refuted', 'False', '2026-02-28T10:00:00Z', 'Why.'],
    ['unknown', 'Unknown', '2026-02-28T10:00:00Z', 'Why. It was last proven at 2026-02-28T10:00:00Z.'],
    ['unknown', 'Unknown', undefined, 'Why. It was never proven.'],
  ])('that is %s is a condition that is %s', (kind, status, lockProvenAt, message) => {
    expect(condition({ replicaLocked: lock(kind, 'Why'), lockProvenAt })).toMatchObject({ status, reason: 'Why', message });
  });

  it('is spoken of no more when the spec names no second bucket any more', () => {
    const before = locationStatus(location(), facts({ replicaLocked: lock('refuted', 'NotImmutable'), lockProvenAt: '2026-02-28T10:00:00Z' }), NOW);
    const after = locationStatus(location(before), facts(), LATER);
    expect(after.conditions?.map(({ type }) => type)).not.toContain('ReplicaLocked');
    expect(after.lockProvenAt).toBeUndefined();
  });

  it('is proven each day, and soon again after it could not be', () => {
    expect([0, 1, 2, 3, 20].map((failures) => nextProofIn(failures))).toEqual([86_400_000, 5000, 10_000, 20_000, 300_000]);
  });
});
