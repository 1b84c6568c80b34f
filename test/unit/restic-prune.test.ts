import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { existsSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, forget, initRepository, listSnapshots, openRepository, planPrune, prune, reachOf, restore, type PruneReplacement } from '../../src/restic/index.ts';
import { decideDue, spentMarks } from '../../src/restic/prune/marks.ts';
import { decidePacks } from '../../src/restic/prune/plan.ts';
import { FileStore, MemoryStore, type ObjectStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { anySteps, backUpSource, makeSources, openWritable, takeStep } from '../support/interleaving.ts';
import { copyOf, KilledStore } from '../support/killed-store.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';

const scratch = scratchDirectory();
const sources = makeSources(scratch.path);
const hour = 3_600_000;
const grace = 48 * hour;
const start = new Date('2024-06-01T02:00:00Z');

afterAll(() => scratch.remove());

async function threeSnapshots(): Promise<{ store: MemoryStore; snapshots: string[] }> {
  const store = new MemoryStore();
  const repository = await initRepository({ store, password: Buffer.from(testPassword) });
  const snapshots: string[] = [];
  for (const source of [0, 1, 2]) snapshots.push(await backUpSource(repository, sources[source] ?? ''));
  await repository.close();
  return { store, snapshots };
}

async function assertSound(store: ObjectStore): Promise<void> {
  const repository = await openWritable(store);
  expect((await check(repository, { readData: 'all' })).problems.filter(({ kind }) => kind !== 'lock')).toEqual([]);
  await repository.close();
}

async function packsIn(store: ObjectStore): Promise<string[]> {
  const packs: string[] = [];
  for await (const { key } of store.list('data/')) packs.push(key.slice(8));
  return packs;
}

describe('decidePacks', () => {
  const pack = (id: string, onlyHere: number, unusedBytes: number) => ({ id, size: 100, onlyHere, onlyHereBytes: onlyHere * 10, unusedBytes });

  it('lets packs go that hold nothing needed, and keeps all others', () => {
    const facts = { packs: [pack('a', 3, 70), pack('b', 0, 100), pack('c', 10, 0)], duplicates: [], unreferenced: [{ id: 'd', size: 40 }] };
    expect(decidePacks(facts)).toEqual({ keep: [0, 2], remove: [1], repack: [], bytesKept: 200, bytesFreed: 140, bytesUnused: 70 });
  });

  it('keeps one home for a blob that lies in several packs, one that stays anyway', () => {
    const facts = { packs: [pack('a', 0, 0), pack('b', 2, 0), pack('c', 0, 0)], duplicates: [{ bytes: 10, packs: [0, 1, 2] }], unreferenced: [] };
    expect(decidePacks(facts)).toMatchObject({ keep: [1], remove: [0, 2] });
  });

  it('keeps the fewest packs for duplicates that lie in no other', () => {
    const facts = { packs: [pack('a', 0, 0), pack('b', 0, 0), pack('c', 0, 0)], duplicates: [{ bytes: 10, packs: [0, 1] }, { bytes: 10, packs: [1, 2] }], unreferenced: [] };
    expect(decidePacks(facts)).toMatchObject({ keep: [1], remove: [0, 2] });
  });

  it('rewrites packs with more waste than is tolerated, and only those', () => {
    const facts = { packs: [pack('a', 3, 70), pack('b', 9, 10)], duplicates: [], unreferenced: [] };
    expect(decidePacks(facts, 0.5)).toMatchObject({ keep: [1], repack: [0], bytesFreed: 70 });
  });

  it('never lets the last place of a needed blob go, whatever lies where', () => {
    const facts = fc.record({
      packs: fc.array(fc.record({ id: fc.string(), size: fc.nat(1000), onlyHere: fc.nat(3), onlyHereBytes: fc.nat(1000), unusedBytes: fc.nat(1000) }), { minLength: 2, maxLength: 8 }),
      picks: fc.array(fc.tuple(fc.nat(100), fc.uniqueArray(fc.nat(7), { minLength: 2, maxLength: 4 })), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(facts, fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }), ({ packs, picks }, repackAbove) => {
        const duplicates = picks.map(([bytes, places]) => ({ bytes, packs: places.filter((place) => place < packs.length) })).filter((each) => each.packs.length > 0);
        const { keep, repack, remove } = decidePacks({ packs, duplicates, unreferenced: [] }, repackAbove);
        const stays = new Set([...keep, ...repack]);
        expect([...keep, ...repack, ...remove].sort((a, b) => a - b)).toEqual(packs.map((_, index) => index));
        for (const [index, each] of packs.entries()) if (each.onlyHere > 0) expect(stays.has(index)).toBe(true);
        for (const each of duplicates) expect(each.packs.some((place) => stays.has(place))).toBe(true);
      }),
    );
  });
});

describe('decideDue', () => {
  it('marks what is new, waits for what is young, removes what is old, and forgets what is needed again', () => {
    const marks = [
      { key: 'old', since: new Date(start.getTime() - grace), packs: ['old', 'needed-again'], exports: ['old export'] },
      { key: 'young', since: new Date(start.getTime() - grace + 1), packs: ['young'], exports: [] },
    ];
    const packs = decideDue('packs', ['old', 'young', 'new'], marks, start, grace);
    expect(packs).toEqual({ remove: ['old'], mark: ['new'], wait: ['young'] });
    expect(decideDue('exports', ['old export', 'old'], marks, start, grace)).toEqual({ remove: ['old export'], mark: ['old'], wait: [] });
    expect(spentMarks(marks, packs, { wait: [] })).toEqual(['old']);
    expect(spentMarks(marks, packs, { wait: ['old export'] })).toEqual([]);
  });

  it('waits for nothing when no grace is given', () => {
    expect(decideDue('packs', ['new'], [], start, 0)).toEqual({ remove: ['new'], mark: [], wait: [] });
  });
});

describe('prune', () => {
  it('plans what it then does', async () => {
    const { store, snapshots } = await threeSnapshots();
    const repository = await openWritable(store);
    await forget(repository, { hostname: 'h', snapshots: [snapshots[1] ?? ''] });
    const plan = await planPrune(repository);
    const done = await prune(repository, { hostname: 'h', graceMs: 0, now: start });
    await repository.close();
    expect(plan.packsToDelete.length).toBeGreaterThan(0);
    expect([...done.packsToDelete].sort()).toEqual([...plan.packsToDelete].sort());
    expect(done.bytesFreed).toBe(plan.bytesFreed);
    await assertSound(store);
  });

  it('removes a pack no earlier than 48 hours after nothing refers to it', async () => {
    const { store, snapshots } = await threeSnapshots();
    const repository = await openWritable(store);
    await forget(repository, { hostname: 'h', snapshots: [snapshots[0] ?? ''] });
    const before = await packsIn(store);
    const first = await prune(repository, { hostname: 'h', graceMs: grace, now: start });
    expect(first).toMatchObject({ packsToDelete: [], bytesFreed: 0 });
    expect(first.packsMarked?.length).toBeGreaterThan(0);
    expect(await packsIn(store)).toEqual(before);
    const early = await prune(repository, { hostname: 'h', graceMs: grace, now: new Date(start.getTime() + grace - 60_000) });
    expect(early.packsToDelete).toEqual([]);
    const late = await prune(repository, { hostname: 'h', graceMs: grace, now: new Date(start.getTime() + grace + 60_000) });
    await repository.close();
    expect([...late.packsToDelete].sort()).toEqual([...(first.packsMarked ?? [])].sort());
    const marks: string[] = [];
    for await (const { key } of store.list('prune/')) marks.push(key);
    expect(marks).toEqual([]);
    await assertSound(store);
  });

  it('removes what a killed writer left unfinished a day ago', async () => {
    const directory = join(scratch.path, 'unfinished');
    const repository = await initRepository({ store: new FileStore(directory), password: Buffer.from(testPassword) });
    await backUpSource(repository, sources[0] ?? '');
    const left = join(directory, 'data', '.tmp-0123456789ab');
    writeFileSync(left, 'half of a pack');
    await prune(repository, { hostname: 'h', graceMs: grace, now: start });
    expect(existsSync(left)).toBe(true);
    utimesSync(left, Date.now() / 1000 - 25 * 3600, Date.now() / 1000 - 25 * 3600);
    await prune(repository, { hostname: 'h', graceMs: grace, now: start });
    expect(existsSync(left)).toBe(false);
    await repository.close();
  });

  it('does not disturb a reader that began before it', async () => {
    const { store, snapshots } = await threeSnapshots();
    const reader = await openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
    await restore(reader, { snapshot: snapshots[2] ?? '', subtree: '/data', target: join(scratch.path, 'reader-1') });
    const pruner = await openWritable(store);
    const forgotten = await store.get(`snapshots/${snapshots[0] ?? ''}`);
    await forget(pruner, { hostname: 'h', snapshots: [snapshots[0] ?? ''] });
    await prune(pruner, { hostname: 'h', graceMs: grace, now: start, repackAbove: 0 });
    await pruner.close();
    await store.put(`snapshots/${snapshots[0] ?? ''}`, forgotten);
    const target = join(scratch.path, 'reader-2');
    await restore(reader, { snapshot: snapshots[0] ?? '', subtree: '/data', target });
    await reader.close();
    expect(compareTrees(sources[0] ?? '', target)).toEqual([]);
  });

  it('tells what it replaces before anything old is gone, with what each snapshot needs from then on', async () => {
    const { store, snapshots } = await threeSnapshots();
    const repository = await openWritable(store);
    await forget(repository, { hostname: 'h', snapshots: [snapshots[0] ?? ''] });
    const told: PruneReplacement[] = [];
    let needed: readonly string[] = [];
    await prune(repository, {
      hostname: 'h', graceMs: 0, now: start, repackAbove: 0,
      onReplace: async (replacement) => {
        told.push(replacement);
        for (const id of replacement.removedIndexes) expect(await store.head(`index/${id}`)).toBeDefined();
        const reach = await replacement.reachOf(snapshots[1] ?? '');
        needed = [...reach.packs.map(({ id }) => `data/${id.slice(0, 2)}/${id}`), ...reach.indexes.map(({ id }) => `index/${id}`)];
      },
    });
    await repository.close();
    expect(told).toHaveLength(1);
    expect(told[0]?.savedPacks.length).toBeGreaterThan(0);
    for (const key of needed) expect(await store.head(key)).toBeDefined();
    await assertSound(store);
  });

  it('refuses to touch a repository that lacks something', async () => {
    const { store, snapshots } = await threeSnapshots();
    const repository = await openWritable(store);
    const lost = (await reachOf(repository, snapshots[0] ?? '')).packs[0]?.id ?? '';
    await store.delete(`data/${lost.slice(0, 2)}/${lost}`);
    await forget(repository, { hostname: 'h', snapshots: [snapshots[1] ?? ''] });
    const before = (await packsIn(store)).length;
    await expect(prune(repository, { hostname: 'h', graceMs: 0, now: start })).rejects.toMatchObject({ code: 'Damaged' });
    await repository.close();
    expect((await packsIn(store)).length).toBe(before);
  });

  it('keeps what lies in two packs where it is whole, and never in a pack that was cut', async () => {
    const { store, snapshots } = await threeSnapshots();
    const taken = new Map<string, Uint8Array>();
    for (const prefix of ['index/', 'snapshots/']) for await (const { key } of store.list(prefix)) taken.set(key, await store.get(key));
    await store.deleteMany([...taken.keys()]);
    const first = new Set(await packsIn(store));
    const writer = await openWritable(store);
    for (const source of sources) await backUpSource(writer, source);
    await writer.close();
    for (const [key, bytes] of taken) await store.put(key, bytes);
    for (const cutsFirst of [true, false]) {
      const copy = await copyOf(store);
      for (const id of (await packsIn(copy)).filter((each) => first.has(each) === cutsFirst)) {
        const key = `data/${id.slice(0, 2)}/${id}`;
        const bytes = await copy.get(key);
        await copy.delete(key);
        await copy.put(key, bytes.subarray(0, -10));
      }
      const repository = await openWritable(copy);
      await forget(repository, { hostname: 'h', snapshots: [snapshots[0] ?? ''] });
      for (let night = 0; night < 3; night++) await prune(repository, { hostname: 'h', graceMs: 0, now: start });
      await repository.close();
      await assertSound(copy);
    }
  });

  it.each([undefined, 0])('leaves a sound repository when it is killed at any change, and the next run ends it (repackAbove %p)', async (repackAbove) => {
    const { store, snapshots } = await threeSnapshots();
    const request = { graceMs: 0, now: start, ...(repackAbove === undefined ? {} : { repackAbove }) };
    let ended = false;
    for (let allowed = 0; !ended; allowed++) {
      const copy = await copyOf(store);
      const failing = new KilledStore(copy, allowed);
      const killed = await openWritable(failing);
      try {
        await forget(killed, { hostname: 'killed', snapshots: [snapshots[0] ?? ''] });
        await prune(killed, { hostname: 'killed', ...request });
        ended = !failing.hasFailed;
      } catch {
        // As intended.
      }
      await killed.close();
      await assertSound(copy);
      const next = await openWritable(copy);
      const left = (await listSnapshots(next)).map(({ id }) => id);
      await forget(next, { hostname: 'h', deadHostnames: ['killed'], snapshots: left.filter((id) => id === snapshots[0]) });
      await prune(next, { hostname: 'h', deadHostnames: ['killed'], ...request });
      expect((await planPrune(next)).packsToDelete).toEqual([]);
      await next.close();
      await assertSound(copy);
      expect(allowed).toBeLessThan(100);
    }
  }, 120_000);
});

describe('any interleaving of backup, forget, prune and kill', () => {
  it('leaves a sound repository whose snapshots restore', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(anySteps, async (steps) => {
        const store = new MemoryStore();
        await (await initRepository({ store, password: Buffer.from(testPassword) })).close();
        for (const step of steps) {
          await takeStep(store, sources, step);
          await assertSound(store);
        }
        const reader = await openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
        for (const { id } of await listSnapshots(reader)) {
          const outcome = await restore(reader, { snapshot: id, target: join(scratch.path, `run-${String(run++)}`) });
          expect(outcome.complete).toBe(true);
        }
        await reader.close();
      }),
      { numRuns: 6 },
    );
  }, 180_000);
});
