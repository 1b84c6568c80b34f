// Whole nights, played with the queue as the operator keeps it: movers come in any order, run for any time, and leave.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MoverLine, type WaitingMover } from '../../src/decide/queue.ts';

const shape = fc.record({
  namespace: fc.oneof({ weight: 3, arbitrary: fc.constant('greedy') }, { weight: 5, arbitrary: fc.integer({ min: 0, max: 15 }).map((n) => `modest-${n}`) }),
  automatic: fc.boolean(),
  second: fc.integer({ min: 0, max: 30 }),
});

function moverOf({ namespace, automatic, second }: { namespace: string; automatic: boolean; second: number }, index: number): WaitingMover {
  const queuedAt = new Date(second * 1000).toISOString();
  return { uid: `u${String(index).padStart(3, '0')}`, name: `b${index}`, task: 'backup', namespace, location: 'here', safetyFor: undefined, queuedAt, automatic };
}

/** Nobody who could have started instead was there before. */
function expectInTurn(started: WaitingMover, waiting: readonly WaitingMover[], busy: ReadonlySet<string>): void {
  for (const other of waiting) {
    if (other.uid === started.uid || busy.has(other.namespace)) continue;
    const urgency = Number(other.automatic) - Number(started.automatic);
    const arrival = other.queuedAt === started.queuedAt ? Number(other.uid > started.uid) || -1 : other.queuedAt > started.queuedAt ? 1 : -1;
    // One whose namespace has more before it at home comes later, however early it arrived.
    const isHead = !waiting.some((head) => head.namespace === other.namespace && head.uid !== other.uid && (Number(head.automatic) < Number(other.automatic) || (head.automatic === other.automatic && (head.queuedAt < other.queuedAt || (head.queuedAt === other.queuedAt && head.uid < other.uid)))));
    if (isHead) expect({ urgency: urgency > 0 || (urgency === 0 && arrival > 0), started: started.uid, other: other.uid }).toMatchObject({ urgency: true });
  }
}

describe('a night', () => {
  it('serves everybody once, in turn, never more at a time than allowed and never two of a customer, and leaves no place empty that somebody could have', () => {
    fc.assert(
      fc.property(fc.array(shape, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 8 }), fc.infiniteStream(fc.nat()), (shapes, limit, dice) => {
        const all = shapes.map(moverOf);
        const line = new MoverLine('here', { limit });
        const [waiting, running, served] = [new Map(all.map((mover) => [mover.uid, mover])), new Map<string, WaitingMover>(), [] as string[]];
        for (const mover of all) line.setWaiting(mover.uid, mover);
        while (waiting.size > 0 || running.size > 0) {
          for (let next = line.admitted()[0]; next !== undefined; next = line.admitted()[0]) {
            expectInTurn(next, [...waiting.values()], new Set([...running.values()].map(({ namespace }) => namespace)));
            expect(line.admit(next)).toEqual({ admitted: true });
            waiting.delete(next.uid);
            running.set(next.uid, next);
            line.setWaiting(next.uid, undefined);
            line.setRunning(next.uid, next);
          }
          const homes = [...running.values()].map(({ namespace }) => namespace);
          expect(running.size).toBeLessThanOrEqual(limit);
          expect(new Set(homes).size).toBe(homes.length);
          if (running.size < limit) expect([...waiting.values()].filter(({ namespace }) => !homes.includes(namespace))).toEqual([]);
          const ended = [...running.keys()][Number(dice.next().value) % running.size]!;
          running.delete(ended);
          line.setRunning(ended, undefined);
          served.push(ended);
        }
        expect([...served].sort()).toEqual(all.map(({ uid }) => uid));
      }),
      { numRuns: 150 },
    );
  });
});
