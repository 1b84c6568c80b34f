import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { BACKUP_PHASES, RESTORE_PHASES } from '../../src/api/index.ts';
import { reasonsInSources } from '../support/reasons-in-sources.ts';

const rows = readFileSync('docs/errors.md', 'utf8')
  .split('\n')
  .map((line) => /^\| `([A-Za-z0-9]+)` \| (.+) \| (.+) \|$/.exec(line))
  .filter((row) => row !== null);
const documented = new Set(rows.map((row) => row[1] ?? ''));
const sources = reasonsInSources();

describe('docs/errors.md', () => {
  it('finds reasons of all kinds in the sources', () => {
    // One of each way to write one: argument, property, either of two, union of codes, error of a port.
    for (const word of ['PolicyMissing', 'BackupTooOld', 'Replaced', 'KeyPendingDeletion', 'SecretIncomplete']) expect([...sources.keys()]).toContain(word);
  });

  it('has a row for every reason and code that a person can see', () => {
    const missing = [...sources].filter(([word]) => !documented.has(word)).map(([word, place]) => `${word} (${place})`);
    expect(missing).toEqual([]);
  });

  it('has a row for every phase, for events have those as reasons', () => {
    expect([...BACKUP_PHASES, ...RESTORE_PHASES].filter((phase) => !documented.has(phase))).toEqual([]);
  });

  it('explains each word once, and none that is no more', () => {
    const words = rows.map((row) => row[1] ?? '');
    expect(words.filter((word, at) => words.indexOf(word) !== at)).toEqual([]);
    const known = new Set<string>([...sources.keys(), ...BACKUP_PHASES, ...RESTORE_PHASES, 'NotReady', 'NamespaceGone']);
    expect(words.filter((word) => !known.has(word))).toEqual([]);
  });
});
