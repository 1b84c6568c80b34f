/** Locks between this program and a running restic: each sees the other's, and says so. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { openedOf } from '../../src/restic/repository/index.ts';
import { openRepository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { runProcess } from '../support/program.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';

const scratch = scratchDirectory();
const path = join(scratch.path, 'repository');
const restic = new RealRestic(path, scratch.path);
const access = ['--repository', `file://${path}`, '--secret-key-file', join(scratch.path, 'password')];
let holder: ChildProcess;

beforeAll(async () => {
  await restic.run(['init']);
  mkdirSync(join(scratch.path, 'source'));
  writeFileSync(join(scratch.path, 'source', 'file'), 'content');
  // It waits for its input, holding a shared lock.
  holder = spawn('restic', ['-r', path, '--password-file', join(scratch.path, 'password'), '--no-cache', 'backup', '--stdin'], { stdio: ['pipe', 'ignore', 'ignore'] });
  while (readdirSync(join(path, 'locks')).length === 0) await delay(50);
  await delay(500);
});
afterAll(() => {
  holder.kill('SIGKILL');
  scratch.remove();
});

describe('while restic backs up', () => {
  it('a backup and a check of ours go on', async () => {
    expect(await runProcess(['backup', '--source', join(scratch.path, 'source'), ...access])).toMatchObject({ status: 0 });
    expect(await runProcess(['check', '--read-data', ...access])).toMatchObject({ status: 0 });
  });

  it('a prune of ours ends with 4, says who has the lock, and waits before that when told to', async () => {
    const { status, stderr } = await runProcess(['prune', ...access]);
    expect({ status, stderr }).toMatchObject({ status: 4, stderr: expect.stringMatching(new RegExp(`locked by process ${String(holder.pid)} on .*Wait until it has ended`)) });
    const started = performance.now();
    expect((await runProcess(['prune', '--retry-lock', '2s', ...access])).status).toBe(4);
    expect(performance.now() - started).toBeGreaterThan(2000);
  });

  it('that was killed, its lock is in nobody\'s way', async () => {
    const gone = new Promise((resolve) => holder.once('exit', resolve));
    holder.kill('SIGKILL');
    await gone;
    expect(readdirSync(join(path, 'locks'))).toHaveLength(1);
    expect(await runProcess(['prune', ...access])).toMatchObject({ status: 0 });
    expect(readdirSync(join(path, 'locks'))).toEqual([]);
  });
});

describe('while we hold a lock', () => {
  it('restic does not write beside an exclusive one, nor prune beside a shared one', async () => {
    const repository = openedOf(await openRepository({ store: new FileStore(path), password: Buffer.from(testPassword) }));
    const exclusive = await repository.lock({ hostname: 'elsewhere', exclusive: true });
    await expect(restic.run(['backup', join(scratch.path, 'source')])).rejects.toThrow(/locked exclusively by PID \d+ on elsewhere/);
    await exclusive.release();
    const shared = await repository.lock({ hostname: 'elsewhere', exclusive: false });
    await restic.run(['backup', join(scratch.path, 'source')]);
    await expect(restic.run(['prune'])).rejects.toThrow(/already locked by PID \d+ on elsewhere/);
    // It refuses to take ours for stale.
    await restic.run(['unlock']);
    expect(readdirSync(join(path, 'locks'))).toHaveLength(1);
    await shared.release();
    await repository.close();
    await restic.run(['prune']);
  });
});
