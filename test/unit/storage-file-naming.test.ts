/** Objects that are to be new, in a directory whose file system has no hard links. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renameUnderClaim } from '../../src/storage/file-naming.ts';

describe('without hard links a new name', () => {
  let folder: string;
  /** As an unfinished object is called, so that `prune` tidies it away. */
  const claimOfObject = `.tmp-${hash('sha256', 'object', 'base64url').slice(0, 12)}`;
  const at = (name: string): string => join(folder, name);
  const prepare = (name: string): string => {
    writeFileSync(at(name), name);
    return at(name);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'naming-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is given to one of many who want it at once, and the others are told', async () => {
    const ends = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => renameUnderClaim(prepare(`.tmp-${String(n)}`), at('object'))));
    const won = ends.flatMap(({ status }, n) => (status === 'fulfilled' ? [`.tmp-${String(n)}`] : []));
    expect(won).toHaveLength(1);
    expect(readFileSync(at('object'), 'utf8')).toBe(won[0]);
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'EEXIST' });
    expect(readdirSync(folder).filter((name) => name === claimOfObject)).toEqual([]);
  });

  it('is not taken from an object that is there', async () => {
    writeFileSync(at('object'), 'first');
    await expect(renameUnderClaim(prepare('.tmp-late'), at('object'))).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readFileSync(at('object'), 'utf8')).toBe('first');
  });

  it('is free again a minute after its claimant was killed', async () => {
    const claim = at(claimOfObject);
    writeFileSync(claim, '');
    const then = Date.now() / 1000 - 61;
    utimesSync(claim, then, then);
    await renameUnderClaim(prepare('.tmp-next'), at('object'));
    expect(readFileSync(at('object'), 'utf8')).toBe('.tmp-next');
    expect(readdirSync(folder).filter((name) => name === claimOfObject)).toEqual([]);
  });
});
