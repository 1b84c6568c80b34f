import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { eventKey, headKey, signEvent, signHead, verifyTrail, type AuditEvent } from '../../src/audit/index.ts';
import { canonicalJson, type MemoryStore } from '../../src/storage/index.ts';
import { AUDIT_TENANT as TENANT, copyOf, freshSigner, storeWithTrail } from '../support/audit-trail.ts';

const EVENTS = 7;
const signer = freshSigner();
const thief = freshSigner();

/** What somebody with every right on the bucket, but not the installation's key, can do to a trail. */
type Attack =
  | { readonly do: 'remove'; readonly seq: number; readonly headToo: boolean }
  | { readonly do: 'close-the-gap'; readonly seq: number }
  | { readonly do: 'swap'; readonly seq: number; readonly other: number }
  | { readonly do: 'flip'; readonly seq: number; readonly bit: number }
  | { readonly do: 'edit'; readonly seq: number; readonly object: string }
  | { readonly do: 'cut'; readonly keep: number }
  | { readonly do: 'replace'; readonly from: number; readonly withHeads: boolean }
  | { readonly do: 'append' }
  | { readonly do: 'foreign'; readonly seq: number }
  | { readonly do: 'flip-head'; readonly seq: number; readonly bit: number };

const seq = fc.integer({ min: 1, max: EVENTS });
const bit = fc.nat({ max: 4000 });
const attack: fc.Arbitrary<Attack> = fc.oneof(
  fc.record({ do: fc.constant('remove' as const), seq, headToo: fc.boolean() }),
  fc.record({ do: fc.constant('close-the-gap' as const), seq: fc.integer({ min: 1, max: EVENTS - 1 }) }),
  fc.record({ do: fc.constant('swap' as const), seq, other: seq }).filter(({ seq: one, other }) => one !== other),
  fc.record({ do: fc.constant('flip' as const), seq, bit }),
  fc.record({ do: fc.constant('edit' as const), seq, object: fc.constantFrom('Backup/shop/other', 'Backup/else/b1') }),
  fc.record({ do: fc.constant('cut' as const), keep: fc.integer({ min: 0, max: EVENTS - 1 }) }),
  fc.record({ do: fc.constant('replace' as const), from: seq, withHeads: fc.boolean() }),
  fc.constant({ do: 'append' as const }),
  fc.record({ do: fc.constant('foreign' as const), seq }),
  fc.record({ do: fc.constant('flip-head' as const), seq, bit }),
);

/** Whether the bucket alone shows it: removing the last event with its head, or all from some event on, takes the proof away, too. */
function showsAlone(done: Attack): boolean {
  return !(done.do === 'cut' || (done.do === 'remove' && done.headToo && done.seq === EVENTS) );
}

describe('a trail that somebody laid a hand on', () => {
  it('is found out, whatever was removed, reordered, altered, added or cut off', async () => {
    const sound = await storeWithTrail(EVENTS, signer);
    const replica = await copyOf(sound);
    const other = await storeWithTrail(EVENTS, signer, 'f'.repeat(32));
    const options = { tenantId: TENANT, trustedKeys: [signer.publicKey] };
    expect((await verifyTrail(sound, { ...options, replica })).findings).toEqual([]);

    await fc.assert(
      fc.asyncProperty(attack, async (each) => {
        const store = await copyOf(sound);
        await carryOut(each, store, other);
        const withReplica = await verifyTrail(store, { ...options, replica });
        expect(withReplica.findings).not.toEqual([]);
        if (showsAlone(each)) expect((await verifyTrail(store, options)).findings).not.toEqual([]);
      }),
      { numRuns: 250 },
    );
  });

  it('is found out by each single bit of an event and of a head', async () => {
    const sound = await storeWithTrail(1, signer);
    const bits = 8 * Math.max((await sound.get(eventKey(1))).byteLength, (await sound.get(headKey(1))).byteLength);
    const unnoticed: Attack[] = [];
    for (const kind of ['flip', 'flip-head'] as const) {
      for (let at = 0; at < bits; at += 1) {
        const store = await copyOf(sound);
        await carryOut({ do: kind, seq: 1, bit: at }, store, sound);
        const { findings } = await verifyTrail(store, { tenantId: TENANT, trustedKeys: [signer.publicKey] });
        if (findings.length === 0) unnoticed.push({ do: kind, seq: 1, bit: at });
      }
    }
    expect(unnoticed).toEqual([]);
  });
});

async function carryOut(each: Attack, store: MemoryStore, other: MemoryStore): Promise<void> {
  switch (each.do) {
    case 'remove':
      await store.deleteMany([eventKey(each.seq), ...(each.headToo ? [headKey(each.seq)] : [])]);
      return;
    case 'close-the-gap':
      // Every later event moves up by one, as it is.
      for (let at = each.seq; at < EVENTS; at += 1) await store.put(eventKey(at), await store.get(eventKey(at + 1)));
      await store.deleteMany([eventKey(EVENTS), headKey(EVENTS)]);
      return;
    case 'swap': {
      const [one, two] = [await store.get(eventKey(each.seq)), await store.get(eventKey(each.other))];
      await store.put(eventKey(each.seq), two);
      await store.put(eventKey(each.other), one);
      return;
    }
    case 'flip':
      return flip(store, eventKey(each.seq), each.bit);
    case 'flip-head':
      return flip(store, headKey(each.seq), each.bit);
    case 'edit':
      await store.put(eventKey(each.seq), canonicalJson({ ...(await eventAt(store, each.seq)), object: each.object }));
      return;
    case 'cut':
      for (let at = each.keep + 1; at <= EVENTS; at += 1) await store.deleteMany([eventKey(at), headKey(at)]);
      return;
    case 'replace': {
      // A history of the thief's own from some event on, in itself without a flaw.
      let previous = (await eventAt(store, each.from)).previous;
      for (let at = each.from; at <= EVENTS; at += 1) {
        const event = unsigned(await eventAt(store, at));
        const { bytes, hash } = signEvent({ ...event, previous, object: 'Backup/shop/forged' }, thief);
        await store.put(eventKey(at), bytes);
        if (each.withHeads) await store.put(headKey(at), signHead({ tenant: TENANT, seq: at, hash, at: event.at }, thief));
        previous = hash;
      }
      return;
    }
    case 'append': {
      const event = unsigned(await eventAt(store, EVENTS));
      await store.put(eventKey(EVENTS + 1), signEvent({ ...event, seq: EVENTS + 1 }, thief).bytes);
      return;
    }
    case 'foreign':
      await store.put(eventKey(each.seq), await other.get(eventKey(each.seq)));
  }
}

function unsigned({ tenant, seq: number, previous, at, id, action, actor, object, details }: AuditEvent): Parameters<typeof signEvent>[0] {
  return { tenant, seq: number, previous, at, id, action, actor, object, details };
}

async function eventAt(store: MemoryStore, number: number): Promise<AuditEvent> {
  return JSON.parse(Buffer.from(await store.get(eventKey(number))).toString()) as AuditEvent;
}

async function flip(store: MemoryStore, key: string, at: number): Promise<void> {
  const bytes = Uint8Array.from(await store.get(key));
  const byte = Math.floor(at / 8) % bytes.byteLength;
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << at % 8);
  await store.put(key, bytes);
}
