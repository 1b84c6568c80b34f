import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { keyOfHex, type BlobType } from '../../src/restic/format/index.ts';
import { MappedFiles } from '../../src/restic/fs/index.ts';
import { BlobTable, TableIndex, TableSpace } from '../../src/restic/repository/index.ts';
import type { Place } from '../../src/restic/repository/blob-table.ts';
import { SpilledPlaces } from '../../src/restic/repository/spilled-places.ts';

const MIB = 2 ** 20;
const pack = 'ab'.repeat(32);
const file = 'cd'.repeat(32);
let directory: string;

beforeAll(() => {
  // Not `tmpdir()`: on many machines that is memory itself.
  directory = mkdtempSync('/var/tmp/paged-table-');
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function paged(warnings: string[] = [], directories = [directory], budget = 0): TableSpace {
  return new TableSpace({ budget, directories, warn: (message) => warnings.push(message) });
}

function idOf(i: number): string {
  return hash('sha256', String(i), 'hex');
}

function placeOf(i: number): Place {
  return { pack: 0, offset: i * 101, length: 40 + (i % 1000), uncompressedLength: i % 3 === 0 ? 0 : 4096 };
}

function typeOf(i: number): BlobType {
  return i % 7 === 0 ? 'tree' : 'data';
}

/** Loads blobs `from` to `to` as an index file has them, the last hundred twice. */
function load(index: TableIndex, from: number, to: number): void {
  for (let i = from; i < to + 100; i += 1) {
    const n = i < to ? i : i - 100;
    index.addOf(file, pack, { type: typeOf(n), id: idOf(n), ...placeOf(n) });
  }
}

/** How many blobs are not where they should be. */
function misplaced(index: TableIndex, count: number): number {
  let wrong = 0;
  for (let i = 0; i < count; i += 1) {
    const { offset, length, uncompressedLength } = placeOf(i);
    const found = index.lookup(typeOf(i), idOf(i));
    if (found?.offset !== offset || found.length !== length || found.uncompressedLength !== uncompressedLength || found.packId !== pack) wrong += 1;
    if (index.has(typeOf(i + 1_000_000), idOf(i + 1_000_000))) wrong += 1;
  }
  return wrong;
}

function mappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split(`${directory}/`).length - 1;
}

describe('a table of blobs', () => {
  it.each(['in memory', 'in files', 'first in memory, then in files'])('%s answers as a map does, whatever is claimed, placed and grown', (where) => {
    const operation = fc.record({ what: fc.constantFrom('claim', 'place', 'grow', 'consolidate', 'reserve'), blob: fc.nat(40), type: fc.constantFrom<BlobType>('data', 'tree'), pack: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const warnings: string[] = [];
        const table = new BlobTable([], where === 'in memory' ? paged(warnings, [], 2 ** 40) : paged(warnings, [directory], where === 'in files' ? 0 : 4 * MIB));
        const known = new Map<string, 'pending' | number[]>();
        for (const { what, blob, type, pack: number } of operations) {
          const key = keyOfHex(idOf(blob));
          const name = `${type} ${blob}`;
          const before = known.get(name);
          if (what === 'claim') {
            expect(table.claim(type, key)).toMatchObject(before === undefined ? { state: 'new' } : before === 'pending' ? { state: 'pending' } : { state: 'placed' });
            if (before === undefined) known.set(name, 'pending');
          } else if (what === 'place') {
            table.place(type, key, { pack: number, offset: blob, length: 40, uncompressedLength: 0 });
            known.set(name, before === undefined || before === 'pending' ? [number] : [...new Set([...before, number])]);
          } else if ([...known.values()].includes('pending')) {
            // What other threads have in hand would be lost: nobody rebuilds a table meanwhile.
          } else if (what === 'reserve') table.reserve(60_000);
          else table.consolidate();
        }
        for (const [name, packs] of known) {
          const [type, blob] = name.split(' ') as [BlobType, string];
          const key = keyOfHex(idOf(Number(blob)));
          expect(table.has(type, key)).toBe(true);
          expect([...table.findAll(type, key)].map((place) => place.pack).sort()).toEqual(packs === 'pending' ? [] : [...packs].sort());
        }
        const placed = [...known.values()].filter((packs) => packs !== 'pending').flat();
        let seen = 0;
        table.forEach(() => (seen += 1));
        expect(seen).toBe(placed.length);
        expect(table.size).toBe(placed.length + known.size - [...known.values()].filter((packs) => packs !== 'pending').length);
        expect(warnings).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });

  it('that is loaded beyond its memory takes none, and has every blob', () => {
    const count = 150_000;
    const warnings: string[] = [];
    const index = new TableIndex(paged(warnings, [directory], 4 * MIB));
    index.beginLoading();
    load(index, 0, 20_000);
    index.expect(count);
    load(index, 20_000, count);
    expect(index.size).toBe(count + 100);
    index.endLoading();
    expect(index.size).toBe(count);
    expect(index.table.bytesInMemory).toBeLessThanOrEqual(4 * MIB);
    expect(misplaced(index, count)).toBe(0);
    expect(warnings).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('leaves its memory when more comes than was expected', () => {
    const count = 150_000;
    const index = new TableIndex(paged([], [directory], 4 * MIB));
    index.beginLoading();
    index.expect(1000);
    load(index, 0, count);
    index.endLoading();
    expect(index.table.bytesInMemory).toBeLessThanOrEqual(4 * MIB);
    expect(misplaced(index, count)).toBe(0);
  });

  it('that grows in files does so for other threads too', async () => {
    const table = new BlobTable([], paged());
    const memories = table.memories;
    expect(memories.some((memory) => memory instanceof SharedArrayBuffer)).toBe(false);
    const count = 20_000;
    const source = `
      import { parentPort, workerData } from 'node:worker_threads';
      import { BlobTable } from '${pathToFileURL(join(import.meta.dirname, '../../src/restic/repository/blob-table.ts')).href}';
      const table = new BlobTable(workerData.memories);
      const key = new Int32Array(8);
      let claimed = 0;
      for (let i = 0; i < ${count}; i += 1) {
        key.set([Math.imul(i, 0x9e3779b1), i]);
        if (table.claim('data', key).state === 'new') claimed += 1;
      }
      parentPort.postMessage(claimed);
    `;
    const workers = [1, 2].map(() => new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: { memories } }));
    const claimed = await Promise.all(workers.map((worker) => new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject))));
    await Promise.all(workers.map((worker) => worker.terminate()));
    expect(claimed.reduce((sum, value) => sum + value, 0)).toBe(count);
    expect(table.size).toBe(count);
    expect(table.claim('data', Int32Array.of(Math.imul(7, 0x9e3779b1), 7, 0, 0, 0, 0, 0, 0))).toEqual({ state: 'pending' });
  });

  it('stays in memory, and says so once, where no directory has room', () => {
    const warnings: string[] = [];
    const index = new TableIndex(paged(warnings, [join(directory, 'absent'), '/dev/shm']));
    index.beginLoading();
    load(index, 0, 70_000);
    index.endLoading();
    expect(misplaced(index, 70_000)).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/does not fit into 0 MiB .*absent: ENOENT, \/dev\/shm: ENOTSUP.* Raise the memory limit/s)]);
  });
});

/** A disk that is full after so many places. */
class SmallDisk extends TableSpace {
  readonly #places: number;

  constructor(places: number, warnings: string[]) {
    super({ budget: 4 * MIB, directories: [directory], warn: (message) => warnings.push(message) });
    this.#places = places;
  }

  override tryDirectories<T>(attempt: (directory: string) => T): T | undefined {
    const made = super.tryDirectories(attempt);
    if (made instanceof SpilledPlaces) {
      const add = made.add.bind(made);
      made.add = (...place) => {
        if (made.size >= this.#places) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        add(...place);
      };
    }
    return made;
  }
}

describe('a disk that is full', () => {
  it.each([
    ['while what is in memory leaves it', 100],
    ['later', 90_000],
  ])('%s leaves everything in memory', (_when, places) => {
    const warnings: string[] = [];
    const index = new TableIndex(new SmallDisk(places, warnings));
    index.beginLoading();
    load(index, 0, 150_000);
    index.endLoading();
    expect(misplaced(index, 150_000)).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/\(ENOSPC\)/)]);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('a mapped file', () => {
  it('has its room before it is written, or says that the disk is full', () => {
    expect(() => new MappedFiles().make(directory, 2 ** 50)).toThrow(/ENOSPC|EFBIG/);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is gone when nobody has it any more', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const files = new MappedFiles();
    const before = mappings();
    let buffer: ArrayBuffer | undefined = files.make(directory, MIB).buffer;
    new Uint8Array(buffer)[MIB - 1] = 7;
    expect(mappings()).toBe(before + 1);
    buffer = undefined;
    for (let tries = 0; tries < 50 && mappings() > before; tries += 1) {
      collect();
      await delay(10);
    }
    expect(mappings()).toBe(before);
  });
});
