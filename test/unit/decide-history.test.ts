import { describe, expect, it } from '@jest/globals';
import type { Backup, Restore } from '../../src/api/index.ts';
import { excessBackups, excessRestores } from '../../src/decide/history.ts';

const NOW = Date.parse('2026-03-20T10:00:00Z');
const MINUTE = 60_000;

function ended(name: string, phase: string, minutesAgo: number, changed: { hold?: boolean; deleting?: boolean } = {}) {
  return {
    metadata: { name, creationTimestamp: '2026-01-01T00:00:00Z', ...(changed.deleting === true ? { deletionTimestamp: 'now' } : {}) },
    spec: { hold: changed.hold ?? false },
    status: { phase, completedAt: new Date(NOW - minutesAgo * MINUTE).toISOString() },
  };
}
const namesOf = (list: readonly { metadata: { name: string } }[]) => list.map(({ metadata }) => metadata.name);

describe('what has ended long ago', () => {
  const failures = [ended('d', 'Cancelled', 61), ended('a', 'Failed', 400), ended('c', 'Failed', 200), ended('b', 'Rejected', 300)];

  it.each<[string, ReturnType<typeof ended>[], number, string[]]>([
    ['the oldest go first, the newest stay', failures, 2, ['a', 'b']],
    ['all go where none is to be kept', failures, 0, ['a', 'b', 'c', 'd']],
    ['none goes while there is room', failures, 4, []],
    ['stored, running and waiting ones are no history', [ended('s', 'Stored', 400), ended('t', 'Transferring', 400), ended('p', 'Pending', 400)], 0, []],
    ['held ones stay', [ended('h', 'Failed', 400, { hold: true })], 0, []],
    ['what is going already does not go twice', [ended('g', 'Failed', 400, { deleting: true })], 0, []],
  ])('%s', (_, backups, keep, gone) => {
    expect(namesOf(excessBackups(backups as unknown as Backup[], keep, NOW).remove)).toEqual(gone);
  });

  it('stays for an hour, for whoever waits for its end', () => {
    const fresh = excessBackups([ended('new', 'Failed', 59)] as unknown as Backup[], 0, NOW);
    expect(fresh).toEqual({ remove: [], wakeAt: NOW + MINUTE });
    expect(namesOf(excessBackups([ended('new', 'Failed', 60)] as unknown as Backup[], 0, NOW).remove)).toEqual(['new']);
  });

  it('is the same for restores, however they ended', () => {
    const restores = [ended('a', 'Succeeded', 400), ended('b', 'Failed', 300), ended('c', 'Cancelled', 200), ended('r', 'Restoring', 500)];
    expect(namesOf(excessRestores(restores as unknown as Restore[], 1, NOW).remove)).toEqual(['a', 'b']);
  });
});
