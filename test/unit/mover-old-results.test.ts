import { describe, expect, it } from '@jest/globals';
import { removeOldResults } from '../../src/mover/old-results.ts';
import { MemoryStore } from '../../src/storage/index.ts';

const DAY_MS = 24 * 3_600_000;

async function keysOf(store: MemoryStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

describe('old results', () => {
  it('go after thirty days, and nothing beside them', async () => {
    const store = new MemoryStore();
    for (const key of ['results/a-1.json', 'results/person-b-1.json', 'snapshots/c', 'results-of-others']) await store.put(key, Buffer.from('{}'));
    const now = Date.now();
    await removeOldResults(store, 'results/', new Date(now + 29 * DAY_MS));
    expect(await keysOf(store)).toHaveLength(4);
    await removeOldResults(store, 'results/', new Date(now + 31 * DAY_MS));
    expect(await keysOf(store)).toEqual(['results-of-others', 'snapshots/c']);
  });
});
