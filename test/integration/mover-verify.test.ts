// A verification as a Job runs it, on real S3 and KMS: what is sound, and what is not.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MoverBench, attempt, newTenant } from '../support/mover-bench.ts';
import { buildTree } from '../support/seeded-tree.ts';

let bench: MoverBench;
let scratch: string;
const tenant = newTenant();
let snapshotId: string;

beforeAll(async () => {
  bench = await MoverBench.start();
  const data = join(bench.folder, 'data');
  scratch = join(bench.folder, 'scratch');
  await mkdir(scratch);
  buildTree(data, { seed: 5, files: 200 });
  const run = await bench.run(bench.backupOrders({ tenant, volumes: [{ claim: 'data', mountPath: data }], attempt: attempt('b1') }));
  snapshotId = run.message.backup?.snapshotId ?? '';
}, 120_000);
afterAll(() => bench.stop());

const orders = (uid: string, changes: Partial<Parameters<MoverBench['verifyOrders']>[0]> = {}) =>
  bench.verifyOrders({ tenant, attempt: attempt(uid), sample: { backup: 'first', snapshotId, files: 40, bytes: 10_000_000, seed: uid }, scratch, ...changes });

describe('a mover that verifies', () => {
  it('finds what is sound sound, tells what it looked at, and leaves neither scratch nor lock', async () => {
    const run = await bench.run(orders('v1'));
    expect({ status: run.status, failure: run.message.failure }).toEqual({ status: 0, failure: undefined });
    const { verify } = run.message;
    expect(verify).toMatchObject({ snapshots: 1, problems: 0, filesCompared: 40, damagedPacks: [], affected: [] });
    expect(verify?.packsRead).toBe(verify?.packsChecked);
    expect(verify?.bytesRead).toBeGreaterThan(0);
    expect(run.lines.some(({ type }) => type === 'progress')).toBe(true);
    expect(await readdir(scratch)).toEqual([]);
    expect(await bench.list(tenant.id, 'g1/locks/')).toEqual([]);
    expect(run.everything).not.toMatch(/tbk1-/i);
  });

  it('reads back its part alone', async () => {
    const runs = await Promise.all([1, 2, 3].map((part) => bench.run(orders(`p${part}`, { readData: { part, of: 3 }, scratch: join(scratch, String(part)) }))));
    const read = runs.map(({ message }) => message.verify?.packsRead ?? 0);
    expect(read.reduce((sum, each) => sum + each, 0)).toBe(runs[0]?.message.verify?.packsChecked);
  });

  it('names the backup and the files that a damaged pack belongs to, and ends well: that is its result', async () => {
    const store = bench.tenantStore(tenant.id);
    const [key = ''] = await bench.list(tenant.id, 'g1/data/');
    const bytes = Uint8Array.from(await store.get(key));
    const spoilt = Uint8Array.from(bytes);
    spoilt[100] = (spoilt[100] ?? 0) ^ 1;
    await store.delete(key);
    await store.put(key, spoilt);
    const run = await bench.run(orders('v2'));
    const elsewhere = await bench.run(orders('v3', { readData: { part: (Number.parseInt(key.split('/').at(-1)?.slice(0, 2) ?? '', 16) % 256 === 0 ? 2 : 1), of: 256 }, damagedPacks: [key.split('/').at(-1) ?? ''] }));
    await store.delete(key);
    await store.put(key, bytes);
    expect(run.status).toBe(0);
    expect(run.message.verify).toMatchObject({ damagedPacks: [key.split('/').at(-1)], affected: [{ snapshotId, files: expect.any(Number), paths: expect.arrayContaining([expect.stringMatching(/^\//)]) }] });
    expect(run.message.verify?.problems).toBeGreaterThan(0);
    expect(run.message.warnings.join(' ')).toContain(key.split('/').at(-1));
    expect(elsewhere.message.verify?.damagedPacks).toEqual([key.split('/').at(-1)]);
  });

  it('says that a snapshot is gone, and does not fail for it', async () => {
    const run = await bench.run(orders('v4', { sample: { backup: 'lost', snapshotId: 'ab'.repeat(32), files: 1, bytes: 1, seed: 'x' } }));
    expect(run.status).toBe(0);
    expect(run.message.verify?.problems).toBe(1);
    expect(run.message.warnings[0]).toMatch(/^Trial restore of Backup lost: /);
  });
});
