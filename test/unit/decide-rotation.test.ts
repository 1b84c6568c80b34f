import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Backup } from '../../src/api/index.ts';
import { isGood } from '../../src/decide/good.ts';
import { decideRotation } from '../../src/decide/rotation.ts';

interface Shape {
  trigger?: string;
  phase?: string;
  complete?: boolean;
  hold?: boolean;
  deleting?: boolean;
}

function backup(day: number, { trigger = 'Automatic', phase = 'Stored', complete = true, hold = false, deleting = false }: Shape = {}): Backup {
  const at = new Date(Date.UTC(2026, 0, day, 2)).toISOString().replace('.000', '');
  return {
    metadata: {
      name: `b${String(day).padStart(3, '0')}`,
      uid: `u${day}`,
      annotations: trigger === 'Automatic' ? { 'backup.dupp.de/scheduled-at': at } : {},
      ...(deleting ? { deletionTimestamp: at } : {}),
    },
    spec: { trigger, hold },
    status: { phase, completedAt: at, conditions: [{ type: 'Complete', status: complete ? 'True' : 'False' }] },
  } as unknown as Backup;
}
const names = (backups: readonly Backup[]) => backups.map(({ metadata }) => metadata.name);

describe('rotation', () => {
  it.each<[string, Backup[], number, string[]]>([
    ['nothing while there is room', [backup(1), backup(2)], 2, []],
    ['the oldest first', [backup(3), backup(1), backup(2), backup(4)], 2, ['b001', 'b002']],
    ['manual ones neither go nor count', [backup(1, { trigger: 'Manual' }), backup(2), backup(3)], 2, []],
    ['held ones neither go nor count', [backup(1, { hold: true }), backup(2), backup(3), backup(4)], 2, ['b002']],
    ['failed and running ones do not count', [backup(1), backup(2, { phase: 'Failed' }), backup(3, { phase: 'Transferring' })], 1, []],
    ['one that is going already does not go twice', [backup(1, { deleting: true }), backup(2), backup(3)], 2, []],
    ['the last good one stays behind bad ones', [backup(1), backup(2), backup(3, { complete: false }), backup(4, { complete: false })], 1, ['b001', 'b003']],
    ['a manual good one frees the automatic one', [backup(1), backup(2, { trigger: 'Manual' }), backup(3, { complete: false })], 1, ['b001']],
  ])('%s', (_, backups, keep, gone) => {
    expect(names(decideRotation(backups, keep))).toEqual(gone);
  });

  it('never takes the newest good one, a held one or one that is not automatic, and leaves as many as are to be kept', () => {
    const shapes = fc.array(
      fc.record({
        trigger: fc.constantFrom('Automatic', 'Manual', 'Safety'),
        phase: fc.constantFrom('Stored', 'Failed', 'Queued'),
        complete: fc.boolean(),
        hold: fc.boolean(),
        deleting: fc.boolean(),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(shapes, fc.integer({ min: 1, max: 5 }), (list, keep) => {
        const all = list.map((shape, index) => backup(index + 1, shape));
        const gone = new Set(decideRotation(all, keep));
        const living = all.filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status?.phase === 'Stored');
        const rotating = living.filter(({ spec }) => spec.trigger === 'Automatic' && !spec.hold);
        expect([...gone].every((each) => rotating.includes(each))).toBe(true);
        const standIn = living.filter((each) => isGood(each) && each.spec.trigger !== 'Safety');
        if (standIn.length > 0) expect(standIn.some((each) => !gone.has(each))).toBe(true);
        const left = rotating.length - gone.size;
        expect(left).toBeGreaterThanOrEqual(Math.min(keep, rotating.length));
        expect(left).toBeLessThanOrEqual(keep + 1);
      }),
    );
  });
});
