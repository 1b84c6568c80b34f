/** Any interleaving of backup, forget, prune, replication, collection, time and kill leaves a replica that restic calls sound, every byte of it. */
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readingFirstVersions } from '../../src/mover/first-versions.ts';
import { collectTenant } from '../../src/mover/replicate/collect-tenant.ts';
import { listTenant } from '../../src/mover/replicate/tenant-listings.ts';
import { initRepository } from '../../src/restic/index.ts';
import { StorageError } from '../../src/storage/index.ts';
import { makeSources, takeStep, type Step } from '../support/interleaving.ts';
import { LockedMemoryStore, type Request } from '../support/locked-memory-store.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';
import { DAY, LOCK, keysOf, night, replicationWork } from '../support/replicated-tenant.ts';

/** A few each time; `INTERLEAVINGS=200` for the long run. */
const numRuns = Number(process.env['INTERLEAVINGS'] ?? 8);
const scratch = scratchDirectory();
const sources = makeSources(scratch.path);
afterAll(() => scratch.remove());

const tenant = 'ab'.repeat(16);
const CHANGES = new Set<Request['operation']>(['put', 'extend', 'remove']);

interface Work {
  readonly action: 'replicate' | 'collect';
  /** Changes to the replica before the kill. */
  readonly allowed: number;
  /** What is done to the source in the middle of it, before which of its requests. */
  readonly meanwhile: { readonly before: number; readonly step: Step } | undefined;
}
type Doing = Step | Work | { readonly action: 'wait'; readonly days: number };

const whole = 1_000_000;
const anyStep: fc.Arbitrary<Step> = fc.record({
  action: fc.constantFrom('backup' as const, 'backup' as const, 'forget' as const, 'prune' as const, 'repack' as const),
  pick: fc.nat(2),
  allowed: fc.oneof({ weight: 1, arbitrary: fc.nat(10) }, { weight: 2, arbitrary: fc.constant(whole) }),
});
const anyDoing: fc.Arbitrary<Doing> = fc.oneof(
  { weight: 4, arbitrary: anyStep },
  {
    weight: 4,
    arbitrary: fc.record({
      action: fc.constantFrom('replicate' as const, 'replicate' as const, 'replicate' as const, 'collect' as const),
      allowed: fc.oneof(fc.nat(12), fc.constant(whole)),
      meanwhile: fc.option(fc.record({ before: fc.nat(15), step: anyStep }), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ action: fc.constant('wait' as const), days: fc.constantFrom(1, 8, 31) }) },
);

class World {
  time = Date.parse('2030-01-01T02:00:00Z');
  readonly now = () => new Date(this.time);
  readonly source = new LockedMemoryStore('a', this.now);
  readonly replica = new LockedMemoryStore('b', this.now);
  readonly repository = this.source.within(`tenants/${tenant}/g1`);

  async begin(): Promise<this> {
    await (await initRepository({ store: this.repository, password: Buffer.from(testPassword) })).close();
    return this;
  }

  async do(doing: Doing): Promise<void> {
    if (doing.action === 'wait') this.time += doing.days * DAY;
    else if ('meanwhile' in doing) await this.#work(doing);
    else await takeStep(this.repository, sources, doing);
  }

  async #work({ action, allowed, meanwhile }: Work): Promise<void> {
    let changes = 0;
    let asked = 0;
    this.replica.onRequest = ({ operation }) => {
      changes += CHANGES.has(operation) ? 1 : 0;
      if (changes > allowed) throw new StorageError('Unavailable', 'killed', { retryable: false });
    };
    this.source.onRequest = async () => {
      asked += 1;
      if (meanwhile === undefined || asked !== meanwhile.before + 1) return;
      this.source.onRequest = () => undefined;
      await takeStep(this.repository, sources, meanwhile.step);
    };
    try {
      const work = replicationWork(this.source, this.replica, this.now);
      if (action === 'replicate') await night(work);
      else {
        const listing = await listTenant({ source: work.source, replica: work.replica.versions }, tenant);
        await collectTenant(work.replica, listing, { lock: LOCK, dryRun: false, released: [] }, { now: this.now(), signal: work.signal, mayBegin: () => true });
      }
    } catch (error) {
      if (changes <= allowed) throw error;
    } finally {
      this.replica.onRequest = () => undefined;
      this.source.onRequest = () => undefined;
    }
  }

  /** As restic sees it, once there is a repository. */
  async expectSound(): Promise<void> {
    const view = readingFirstVersions(this.replica).within(`tenants/${tenant}/g1`);
    const keys = await keysOf(view);
    if (!keys.includes('config')) return;
    const place = join(scratch.path, 'replica');
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place);
    const restic = new RealRestic(join(place, 'repository'), place);
    for (const folder of ['data', 'index', 'keys', 'locks', 'snapshots']) mkdirSync(join(restic.repository, folder), { recursive: true });
    for (const key of keys) {
      const path = join(restic.repository, key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, await view.get(key));
    }
    expect(await restic.run(['--no-lock', '--no-cache', 'check', '--read-data'])).toContain('no errors were found');
  }
}

describe('a replica', () => {
  it('is sound in restic\'s eyes before every single change of a first night, and of a collection', async () => {
    const world = await new World().begin();
    for (const pick of [0, 1]) await world.do({ action: 'backup', pick, allowed: whole });
    for (let kills = 0; kills < 30; kills += 1) {
      await world.do({ action: 'replicate', allowed: 1, meanwhile: undefined });
      await world.expectSound();
    }
    await world.do({ action: 'forget', pick: 0, allowed: whole });
    await world.do({ action: 'prune', pick: 0, allowed: whole });
    await world.do({ action: 'replicate', allowed: whole, meanwhile: undefined });
    world.time += 31 * DAY;
    const before = (await keysOf(world.replica)).length;
    for (let kills = 0; kills < 15; kills += 1) {
      await world.do({ action: 'collect', allowed: 1, meanwhile: undefined });
      await world.expectSound();
    }
    expect((await keysOf(world.replica)).length).toBeLessThan(before - 3);
  }, 120_000);

  it('is sound whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDoing, { minLength: 4, maxLength: 12 }), async (doings) => {
        const world = await new World().begin();
        for (const doing of doings) {
          await world.do(doing);
          if (doing.action === 'replicate' || doing.action === 'collect') await world.expectSound();
        }
        await world.do({ action: 'replicate', allowed: whole, meanwhile: undefined });
        await world.expectSound();
      }),
      { numRuns, endOnFailure: true },
    );
  }, 300_000);
});
