/** Every single bit of every file of a small repository, flipped in turn: check finds it, and names the file. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { check, openRepository, restore, type Repository } from '../../src/restic/index.ts';
import { MemoryStore, type ObjectInfo } from '../../src/storage/index.ts';
import { craftRepository, flipBit, putBack } from '../support/crafted-repository.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Each so-many-th bit, from another start in each file; `FLIP_EVERY=1` for all of them. */
const every = Number(process.env['FLIP_EVERY'] ?? 97);
const scratch = scratchDirectory();
const store = new MemoryStore();
const contents: Readonly<Record<string, string>> = { one: 'first content', two: 'second', three: 'the third' };
let repository: Repository;

beforeAll(async () => {
  await (await craftRepository(store, [{ name: 'd', entries: Object.entries(contents).map(([name, data]) => ({ name, data })) }])).close();
  repository = await openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
});
afterAll(async () => {
  await repository.close();
  scratch.remove();
});

async function objects(): Promise<ObjectInfo[]> {
  const all: ObjectInfo[] = [];
  for await (const object of store.list('')) all.push(object);
  return all;
}

describe('a single flipped bit', () => {
  it('is found by check with all data, in whichever file it is, and the file is named', async () => {
    const missed: string[] = [];
    let flips = 0;
    for (const { key, size } of await objects()) {
      for (let bit = flips % every; bit < size * 8; bit += every) {
        const original = await flipBit(store, key, bit);
        const { problems } = await check(repository, { readData: 'all' });
        await putBack(store, key, original);
        flips++;
        if (!problems.some(({ object, message }) => `${object} ${message}`.includes(key.split('/').at(-1) ?? ''))) missed.push(`${key} bit ${String(bit)}`);
      }
    }
    process.stdout.write(`${String(flips)} bits flipped\n`);
    expect(missed).toEqual([]);
    expect((await check(repository, { readData: 'all' })).problems).toEqual([]);
  }, 3_600_000);

  it('in a pack never reaches a restored file: it is refused by name, and the others come when damage is skipped', async () => {
    let refused = 0;
    for (const { key, size } of (await objects()).filter((object) => object.key.startsWith('data/'))) {
      for (let bit = 0; bit < size * 8; bit += every * 5) {
        const original = await flipBit(store, key, bit);
        const target = join(scratch.path, `${key.slice(-8)}-${String(bit)}`);
        const fresh = await openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
        const strict = await restore(fresh, { snapshot: 'latest', target }).then(() => undefined, (error: unknown) => error);
        const lenient = await restore(fresh, { snapshot: 'latest', target, skipDamaged: true }).catch((error: unknown) => error);
        await fresh.close();
        await putBack(store, key, original);
        if (strict !== undefined) {
          refused++;
          expect(strict).toMatchObject({ code: 'Damaged' });
          if (lenient instanceof Error) expect(lenient).toMatchObject({ code: 'Damaged' });
          else expect(lenient).toMatchObject({ complete: false });
        }
        for (const name of filesIn(target)) expect(readFileSync(join(target, 'd', name), 'utf8')).toBe(contents[name]);
      }
    }
    expect(refused).toBeGreaterThan(0);
  }, 600_000);
});

function filesIn(target: string): string[] {
  try {
    return readdirSync(join(target, 'd'));
  } catch {
    return [];
  }
}
