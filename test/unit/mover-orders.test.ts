import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readOrders } from '../../src/mover/orders.ts';
import { forgetOrders } from '../support/mover-orders.ts';

describe('reading orders', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'orders-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const give = (orders: unknown) => writeFile(join(directory, 'orders.json'), typeof orders === 'string' ? orders : JSON.stringify(orders));

  it('gives what the operator wrote', async () => {
    await give(forgetOrders());

    expect(await readOrders(directory)).toEqual({ orders: forgetOrders() });
  });

  it.each([
    ['a version that is not known', { ...forgetOrders(), version: 2 }, 'UnknownVersion', /version 2.*knows version 1/],
    ['no version at all', { task: 'backup' }, 'UnknownVersion', /version none/],
    ['a task that is not known', { ...forgetOrders(), task: 'shred' }, 'BadOrders', /task/],
    ['a field of the wrong type', { ...forgetOrders(), prune: 'yes' }, 'BadOrders', /prune/],
    ['no JSON', '{"version":', 'BadOrders', /cannot be read as JSON/],
  ])('refuses %s', async (_, orders, code, message) => {
    await give(orders);

    const read = await readOrders(directory);

    expect(read).toMatchObject({ refused: { code, message: expect.stringMatching(message), retryable: false } });
  });

  it('keeps what tells whose orders were refused', async () => {
    await give({ ...forgetOrders(), version: 9 });

    expect(await readOrders(directory)).toMatchObject({ outline: { task: 'forget', attempt: { name: 'tbmover-test-1', uid: 'uid-1' } } });
  });

  it('reports a Secret that is not mounted', async () => {
    expect(await readOrders(join(directory, 'nowhere'))).toMatchObject({ refused: { code: 'BadOrders', message: expect.stringMatching(/Secret/) } });
  });
});
