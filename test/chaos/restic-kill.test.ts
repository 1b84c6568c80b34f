import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backup, initRepository, listSnapshots, openRepository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/file-store.ts';

/** A few kills each time; `KILLS=200` for the long run. */
const kills = Number(process.env['KILLS'] ?? 8);
const password = 'secret-of-a-test';
const hasRestic = spawnable('restic');

let place: string;
let source: string;

function spawnable(program: string): boolean {
  try {
    execFileSync(program, ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'kill-test-'));
  source = join(place, 'source');
  for (let i = 0; i < 600; i += 1) {
    mkdirSync(join(source, `d${i % 20}`), { recursive: true });
    writeFileSync(join(source, `d${i % 20}`, `f${i}`), randomBytes(i % 10 === 0 ? 1_500_000 : 3_000));
  }
});

afterAll(() => {
  rmSync(place, { recursive: true });
});

/** Backs up in a process of its own, killed after `ms`; resolves to whether it had ended before. */
function backUpAndKill(repository: string, ms: number): Promise<boolean> {
  const program = join(import.meta.dirname, 'back-up.ts');
  const child = spawn(process.execPath, [program, repository, source], { env: { ...process.env, PASSWORD: password }, stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

describe('a backup that is killed at any moment', () => {
  it('leaves a repository that is sound, and the next one finishes', async () => {
    const repository = join(place, 'repository');
    const store = new FileStore(repository);
    await (await initRepository({ store, password: Buffer.from(password) })).close();
    let killed = 0;
    for (let i = 0; i < kills; i += 1) {
      if (!(await backUpAndKill(repository, 250 + Math.random() * 900))) killed += 1;
      if (hasRestic) execFileSync('restic', ['check', '--read-data', '--no-cache', '--no-lock'], { env: { ...process.env, RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: password }, stdio: 'pipe' });
    }
    expect(killed).toBeGreaterThan(0);

    const opened = await openRepository({ store, password: Buffer.from(password) });
    const before = (await listSnapshots(opened)).length;
    const outcome = await backup(opened, { hostname: 'next', deadHostnames: ['killed'], snapshotHostname: 'h', tags: [], sources: [{ directory: source, as: '/volumes/data' }] });

    expect(outcome).toMatchObject({ complete: true, files: 600 });
    expect(await listSnapshots(opened)).toHaveLength(before + 1);
    expect(readdirSync(join(repository, 'locks'))).toEqual([]);
    await opened.close();
  }, 300_000);
});
