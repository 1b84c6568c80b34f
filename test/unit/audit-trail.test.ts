import { describe, expect, it } from '@jest/globals';
import { AuditError, decodeEvent, eventKey, fingerprintOf, headKey, readEvents, verifyTrail, type AuditEvent } from '../../src/audit/index.ts';
import { canonicalJson, MemoryStore, StorageError, type ObjectStore } from '../../src/storage/index.ts';
import { AUDIT_TENANT as TENANT, copyOf, freshSigner, storeWithTrail, trailOn } from '../support/audit-trail.ts';

const ENTRY = { id: 'one', action: 'backup.started', actor: 'operator', object: 'Backup/shop/one', details: { attempt: 1 } } as const;
const signer = freshSigner();

describe('an audit trail', () => {
  it('numbers events from one, each naming the one before it, each with a signed head', async () => {
    const store = await storeWithTrail(3, signer);

    const events: AuditEvent[] = [];
    for await (const event of readEvents(store)) events.push(event);
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(events[0]?.previous).toBe('0'.repeat(64));
    expect(await verifyTrail(store, { tenantId: TENANT })).toMatchObject({ events: 3, newest: 3, keys: [fingerprintOf(signer.publicKey)], findings: [] });
    expect(await store.head(headKey(3))).toBeDefined();
  });

  it('is in canonical form, to the byte', async () => {
    const store = await storeWithTrail(1, signer);
    const bytes = await store.get(eventKey(1));
    expect(Buffer.from(canonicalJson(JSON.parse(Buffer.from(bytes).toString())))).toEqual(Buffer.from(bytes));
    expect(Buffer.from(bytes).toString()).toMatch(/^\{"action":"backup\.stored","actor":"operator","at":"2030-01-01T00:00:00\.000Z","details":\{"files":1\},"id":/);
  });

  it('is one chain whoever writes at once', async () => {
    const store = new MemoryStore();
    const writers = Array.from({ length: 6 }, () => trailOn(store, signer));

    await Promise.all(writers.flatMap((trail, writer) => [1, 2, 3].map((step) => trail.record({ ...ENTRY, id: `${writer}/${step}` }))));

    expect(await verifyTrail(store, { tenantId: TENANT })).toMatchObject({ events: 18, newest: 18, findings: [] });
  });

  it('records a step that is taken again once, also after a restart', async () => {
    const store = new MemoryStore();
    const first = await trailOn(store, signer).record(ENTRY);
    const trail = trailOn(store, signer);
    expect(await trail.record(ENTRY)).toEqual({ ...first, isNew: false });
    expect(await trail.record(ENTRY)).toEqual({ ...first, isNew: false });
    expect((await trail.record({ ...ENTRY, id: 'two' })).seq).toBe(2);
  });

  it.each([eventKey(2), headKey(2)])('goes on after a crash right before or after %s', async (key) => {
    for (const isStored of [false, true]) {
      const store = await storeWithTrail(1, signer);
      const killed = failingOnce(store, key, isStored);
      const trail = trailOn(killed, signer);
      await expect(trail.record(ENTRY)).rejects.toBeInstanceOf(StorageError);

      const again = await trailOn(killed, signer).record(ENTRY);

      expect(again.seq).toBe(2);
      expect(await verifyTrail(store, { tenantId: TENANT })).toMatchObject({ events: 2, findings: [] });
      expect(await store.head(headKey(2))).toBeDefined();
    }
  });

  it('lets nothing be added to a trail whose end was tampered with', async () => {
    const forged = await storeWithTrail(2, signer);
    await forged.put(eventKey(3), Buffer.from('{"version":1}'));
    await expect(trailOn(forged, signer).record(ENTRY)).rejects.toMatchObject({ name: 'AuditError', code: 'AuditTampered', message: expect.stringContaining('audit verify') });

    const gap = await storeWithTrail(3, signer);
    await gap.delete(eventKey(2));
    await expect(trailOn(gap, signer).record(ENTRY)).rejects.toBeInstanceOf(AuditError);
    expect(await gap.head(eventKey(4))).toBeUndefined();
  });

  it('never signs for an event that another key made, and tells of the key', async () => {
    const store = await storeWithTrail(2, freshSigner());
    await store.delete(headKey(2));

    await trailOn(store, signer).record(ENTRY);

    expect(await store.head(headKey(2))).toBeUndefined();
    const { findings } = await verifyTrail(store, { tenantId: TENANT });
    expect(findings.map(({ kind }) => kind)).toEqual(['NoHead', 'UntrustedKey']);
  });

  it('records a step that somebody with another key recorded beforehand, under the id that it was going to have', async () => {
    const store = await storeWithTrail(1, signer);
    await trailOn(store, freshSigner()).record(ENTRY);

    expect(await trailOn(store, signer).record(ENTRY)).toMatchObject({ seq: 3, isNew: true });
    expect(await trailOn(store, signer).record(ENTRY)).toMatchObject({ seq: 3, isNew: false });
  });

  it('refuses an event that is too new for this program', async () => {
    const store = await storeWithTrail(1, signer);
    const event = JSON.parse(Buffer.from(await store.get(eventKey(1))).toString()) as AuditEvent;
    expect(() => decodeEvent(canonicalJson({ ...event, version: 2 }), 'it')).toThrow(/version 2, and this program knows 1/);
  });

  it('has pseudonyms that differ by installation and tell nothing', () => {
    const name = signer.pseudonym('erika@example.com');
    expect(name).toMatch(/^sub-[0-9a-f]{32}$/);
    expect(signer.pseudonym('erika@example.com')).toBe(name);
    expect(freshSigner().pseudonym('erika@example.com')).not.toBe(name);
  });

  it('is seen to be cut off with its heads by whoever has the second data center', async () => {
    const store = await storeWithTrail(4, signer);
    const replica = await copyOf(store);
    await store.deleteMany([eventKey(4), headKey(4)]);

    expect((await verifyTrail(store, { tenantId: TENANT })).findings).toEqual([]);
    expect((await verifyTrail(store, { tenantId: TENANT, replica })).findings).toEqual([expect.objectContaining({ kind: 'CutOff', seq: 4 })]);
  });

  it('is as good as its replica when that is a night behind', async () => {
    const store = await storeWithTrail(3, signer);
    const replica = await copyOf(store);
    await trailOn(store, signer).record(ENTRY);
    expect(await verifyTrail(store, { tenantId: TENANT, replica })).toMatchObject({ newest: 4, replicaNewest: 3, findings: [] });
  });
});

/** Fails one put: before or after it took place. */
function failingOnce(store: ObjectStore, key: string, isStored: boolean): ObjectStore {
  let failed = false;
  return new Proxy(store, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (property !== 'put') return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      return async (...args: Parameters<ObjectStore['put']>) => {
        if (args[0] !== key || failed) return target.put(...args);
        failed = true;
        if (isStored) await target.put(...args);
        throw new StorageError('Unavailable', 'the connection broke', { retryable: true });
      };
    },
  });
}
