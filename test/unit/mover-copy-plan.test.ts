import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { planCopy } from '../../src/mover/copy-plan.ts';
import { MemoryStore, type ListOptions, type ObjectInfo } from '../../src/storage/index.ts';

const name = (number: number): string => {
  const id = createHash('sha256').update(String(number)).digest('hex');
  return number % 3 === 0 ? `index/${id}` : `data/${id.slice(0, 2)}/${id}`;
};

async function storeOf(numbers: Iterable<number>, store = new MemoryStore()): Promise<MemoryStore> {
  await store.put('config', Buffer.from('c'));
  await store.put('data/README', Buffer.from('foreign'));
  for (const number of numbers) await store.put(name(number), Buffer.alloc(number % 7));
  return store;
}

describe('what a copy has to do', () => {
  it('is what the target lacks, whatever each of the two has', async () => {
    const numbers = fc.uniqueArray(fc.nat(60));
    await fc.assert(
      fc.asyncProperty(numbers, numbers, async (here, there) => {
        const plan = await planCopy(await storeOf(here), await storeOf(there));
        const lacking = here.filter((number) => !there.includes(number)).map(name);
        expect(plan.parts.flat().map(({ key }) => key).toSorted()).toEqual(lacking.toSorted());
        expect(plan.present).toBe(here.length - lacking.length + 1);
      }),
      { numRuns: 200 },
    );
  });

  it('is refused where an object has another size there', async () => {
    const to = await storeOf([1, 2]);
    await to.put(name(2), Buffer.alloc(100));
    await expect(planCopy(await storeOf([1, 2]), to)).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining(name(2)) });
  });

  it('is not known where a listing fails, and no listing is left open', async () => {
    const open = { count: 0 };
    class Failing extends MemoryStore {
      override async *list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
        open.count += 1;
        try {
          yield* super.list(prefix, options);
          if (prefix === 'data/') throw new Error('the listing broke off');
        } finally {
          open.count -= 1;
        }
      }
    }
    const whole = await storeOf([1, 2, 4, 5]);
    const broken = await storeOf([], new Failing());
    await expect(planCopy(broken, whole)).rejects.toThrow('broke off');
    await expect(planCopy(whole, broken)).rejects.toThrow('broke off');
    expect(open.count).toBe(0);
  });

  it('lists the next page of both places while one is compared', async () => {
    let listing = 0;
    let most = 0;
    class Slow extends MemoryStore {
      override async *list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
        for await (const info of super.list(prefix, options)) {
          listing += 1;
          most = Math.max(most, listing);
          await new Promise((resolve) => setTimeout(resolve, 1));
          listing -= 1;
          yield info;
        }
      }
    }
    const numbers = Array.from({ length: 40 }, (_, index) => index);
    await planCopy(await storeOf(numbers, new Slow()), await storeOf(numbers, new Slow()));
    expect(most).toBe(2);
  });
});
