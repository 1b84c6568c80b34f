import { describe, expect, it } from '@jest/globals';
import type { BackupTenant, BackupTenantSpec } from '../../src/api/index.ts';
import { decideErasure, erasureAfter, erasureRefused, type ErasureFacts, type ErasureProgress, type ErasureStatus } from '../../src/decide/index.ts';
import { checkGround } from '../../src/decide/preconditions.ts';

const NOW = Date.parse('2030-05-01T10:00:00Z');
const ID = 'ab'.repeat(16);
const CONFIRMED = { confirm: ID, requestedBy: 'erika', reason: 'contract 7 ended' };
const ORDERED: ErasureStatus = { phase: 'Erasing', orderedAt: '2030-05-01T09:00:00Z', removed: 0, bytes: 0 };

function tenant(erasure?: BackupTenantSpec['erasure'], status?: ErasureStatus): BackupTenant {
  return {
    apiVersion: 'backup.dupp.de/v1alpha1',
    kind: 'BackupTenant',
    metadata: { name: 'shop-1', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2030-01-01T00:00:00Z' },
    spec: { tenantId: ID, namespace: 'shop', namespaceUID: 'ns', location: 'here', ...(erasure === undefined ? {} : { erasure }) },
    ...(status === undefined ? {} : { status: { erasure: status } }),
  };
}

const location = { metadata: { name: 'here' }, status: { conditions: [{ type: 'Ready', status: 'True' }] } } as unknown as NonNullable<ErasureFacts['location']>;
const backup = (name: string, hold = false) => ({ metadata: { name }, spec: { hold } }) as ErasureFacts['backups'][number];
const facts = (changed: Partial<ErasureFacts> = {}): ErasureFacts => ({ isNamespaceThere: false, policies: 0, backups: [], movers: [], location, ...changed });
const progress = (changed: Partial<ErasureProgress> = {}): ErasureProgress => ({ removed: 0, bytes: 0, remaining: 0, lockedUntil: undefined, replicaRemaining: undefined, ...changed });

describe('an erasure', () => {
  it.each<[string, BackupTenant, Partial<ErasureFacts>, string, string]>([
    ['asked for only', tenant({ reason: 'x' }), {}, 'ErasureUnconfirmed', ID],
    ['confirmed with another id, by a hand-made object', tenant({ confirm: 'cd'.repeat(16) }), {}, 'ErasureUnconfirmed', ID],
    ['of a namespace with policies', tenant(CONFIRMED), { isNamespaceThere: true, policies: 2 }, 'ErasureBlocked', '2 BackupPolicies and 0 Backups'],
    ['of a namespace with backups', tenant(CONFIRMED), { isNamespaceThere: true, backups: [backup('b')] }, 'ErasureBlocked', '0 BackupPolicies and 1 Backups'],
    ['of held backups', tenant(CONFIRMED), { isNamespaceThere: true, backups: [backup('b'), backup('legal', true)] }, 'ErasureBlocked', 'spec.hold'],
    ['without its location', tenant(CONFIRMED), { location: undefined }, 'LocationMissing', 'here'],
    ['while movers run', tenant(CONFIRMED, ORDERED), { movers: ['tbmover-1'] }, 'MoversRunning', 'tbmover-1'],
  ])('%s destroys nothing and says why', (_, given, changed, reason, words) => {
    const plan = decideErasure(given, facts(changed), NOW);
    expect(plan).toMatchObject({ do: 'wait', condition: { type: 'Erased', status: 'False', reason, message: expect.stringContaining(words) } });
  });

  it('is never implied', () => {
    expect(decideErasure(tenant(), facts(), NOW)).toEqual({ do: 'nothing' });
  });

  it('is ordered before anything goes, once', () => {
    const plan = decideErasure(tenant(CONFIRMED), facts(), NOW);
    expect(plan).toMatchObject({
      do: 'order',
      record: { id: 'erasure/ordered', action: 'erasure.ordered', requestedBy: 'erika', object: 'BackupTenant/shop-1', details: { reason: 'contract 7 ended' } },
      status: { phase: 'Erasing', orderedAt: '2030-05-01T10:00:00Z' },
    });
    expect(decideErasure(tenant(CONFIRMED, ORDERED), facts(), NOW)).toMatchObject({ do: 'destroyKeys' });
  });

  it('goes on though the namespace is used again: what is ordered is ordered', () => {
    expect(decideErasure(tenant(CONFIRMED, ORDERED), facts({ isNamespaceThere: true, policies: 1 }), NOW)).toMatchObject({ do: 'destroyKeys' });
  });

  it('removes the rest only when every wrapped key is gone', () => {
    const locked = erasureAfter(tenant(CONFIRMED), 'destroyKeys', ORDERED, progress({ removed: 1, bytes: 9, remaining: 1, lockedUntil: NOW + 5000 }), NOW);
    expect(locked).toMatchObject({ status: { phase: 'Waiting', removed: 1, bytes: 9, remaining: 1, lockedUntil: '2030-05-01T10:00:05Z' }, record: undefined, wakeAt: NOW + 5000, condition: { reason: 'ErasureWaiting' } });
    expect(locked.status.keysDestroyedAt).toBeUndefined();
    expect(decideErasure(tenant(CONFIRMED, locked.status), facts(), NOW + 1000)).toMatchObject({ do: 'wait', wakeAt: NOW + 5000 });
    expect(decideErasure(tenant(CONFIRMED, locked.status), facts(), NOW + 5000)).toMatchObject({ do: 'destroyKeys' });

    const destroyed = erasureAfter(tenant(CONFIRMED), 'destroyKeys', locked.status, progress({ removed: 1 }), NOW);
    expect(destroyed).toMatchObject({ status: { phase: 'Erasing', keysDestroyedAt: '2030-05-01T10:00:00Z', removed: 2 }, record: { action: 'erasure.keys-destroyed' } });
    expect(decideErasure(tenant(CONFIRMED, destroyed.status), facts(), NOW)).toMatchObject({ do: 'removeAll' });
  });

  it('looks again when the second data center has been collected, not only after an hour', () => {
    const waiting = erasureAfter(tenant(CONFIRMED), 'removeAll', { ...ORDERED, keysDestroyedAt: '2030-05-01T09:30:00Z' }, progress({ replicaRemaining: 4 }), NOW).status;
    const collected = (completedAt: string): Partial<ErasureFacts> => ({ location: { ...location, status: { ...location.status, replication: { phase: 'Completed', completedAt } } } });
    expect(decideErasure(tenant(CONFIRMED, waiting), facts(collected('2030-05-01T09:59:00Z')), NOW + 60_000)).toMatchObject({ do: 'wait', wakeAt: NOW + 3_600_000 });
    expect(decideErasure(tenant(CONFIRMED, waiting), facts(collected('2030-05-01T10:00:30Z')), NOW + 60_000)).toMatchObject({ do: 'removeAll' });
  });

  it('goes on at once while there is more than one step takes, and waits for locks and the second data center else', () => {
    const before = { ...ORDERED, keysDestroyedAt: '2030-05-01T09:30:00Z' };
    expect(erasureAfter(tenant(CONFIRMED), 'removeAll', before, progress({ removed: 5000, remaining: 10 }), NOW)).toMatchObject({ status: { phase: 'Erasing' }, wakeAt: NOW, record: undefined });
    const replica = erasureAfter(tenant(CONFIRMED), 'removeAll', before, progress({ removed: 3, replicaRemaining: 12 }), NOW);
    expect(replica).toMatchObject({ status: { phase: 'Waiting', remaining: 12 }, condition: { message: expect.stringContaining('The second data center has 12') }, wakeAt: NOW + 3_600_000, record: undefined });
    expect(decideErasure(tenant(CONFIRMED, replica.status), facts(), NOW + 3_600_000)).toMatchObject({ do: 'removeAll' });
  });

  it('is complete when both are empty, with a certificate', () => {
    const before = { ...ORDERED, keysDestroyedAt: '2030-05-01T09:30:00Z', removed: 40, bytes: 4000 };
    const done = erasureAfter(tenant(CONFIRMED), 'removeAll', before, progress({ removed: 2, bytes: 20, replicaRemaining: 0 }), NOW);
    expect(done).toMatchObject({
      status: { phase: 'Erased', completedAt: '2030-05-01T10:00:00Z', remaining: 0 },
      condition: { status: 'True', reason: 'Erased' },
      record: { id: 'erasure/completed', action: 'erasure.completed', details: { removed: 42, bytes: 4020, orderedAt: '2030-05-01T09:00:00Z', keysDestroyedAt: '2030-05-01T09:30:00Z', remaining: 0, secondDataCenter: 'empty' } },
      wakeAt: undefined,
    });
    expect(decideErasure(tenant(CONFIRMED, done.status), facts({ policies: 1, isNamespaceThere: true }), NOW + 1)).toMatchObject({ do: 'wait', condition: { status: 'True' } });
  });

  it('keeps its state when it is refused, and tries again', () => {
    expect(erasureRefused(ORDERED, { reason: 'AccessDenied', message: 'no' }, NOW)).toEqual({ status: ORDERED, condition: expect.objectContaining({ reason: 'AccessDenied' }), wakeAt: NOW + 60_000 });
  });

  it('lets nothing more be stored or restored once it is ordered', () => {
    const policy = { metadata: { name: 'p' }, spec: { location: 'here' } } as unknown as Parameters<typeof checkGround>[0]['policy'];
    const ground = (of: BackupTenant) => checkGround({ namespace: { uid: 'ns', terminating: false }, policyName: 'p', policy, location, tenant: of });
    expect(ground(tenant({ reason: 'asked for only' })).ok).toBe(true);
    expect(ground(tenant(CONFIRMED))).toMatchObject({ ok: false, reason: 'TenantErased' });
  });
});
