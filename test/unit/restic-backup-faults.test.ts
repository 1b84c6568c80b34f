/** Sources that change or fail under the walk: nothing that is there may be missing without a word. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Libc } from '../../src/restic/fs/libc.ts';
import { LibcError } from '../../src/restic/fs/index.ts';
import { backup, initRepository, listSnapshots, restore, type BackupOutcome, type Repository } from '../../src/restic/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';

const errnoOf = { ESTALE: 116, EIO: 5, ETIMEDOUT: 110, ENOTCONN: 107 };
let scratch: string;
let directory: string;
let repository: Repository;

beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'faults-test-'));
  directory = join(scratch, 'source');
  mkdirSync(directory);
  repository = await initRepository({ store: new MemoryStore(), password: Buffer.from('secret') });
});

afterEach(async () => {
  jest.restoreAllMocks();
  await repository.close();
  rmSync(scratch, { recursive: true });
});

function backUp(): Promise<BackupOutcome> {
  return backup(repository, { hostname: 'h', snapshotHostname: 'h', tags: [], sources: [{ directory, as: '/data' }] });
}

function put(path: string, content: string): void {
  mkdirSync(join(directory, path, '..'), { recursive: true });
  writeFileSync(join(directory, path), content);
}

type Call = 'openAt' | 'statAt' | 'stat' | 'namesIn';

/** Runs `before` ahead of each such call of the engine; what it throws, the call throws. */
function intercept(call: Call, before: (...args: readonly unknown[]) => void): void {
  const original = Reflect.get(Libc.prototype, call) as (...args: readonly unknown[]) => never;
  jest.spyOn(Libc.prototype, call as 'stat').mockImplementation(function (this: Libc, ...args: readonly unknown[]) {
    before(...args);
    return Reflect.apply(original, this, args);
  });
}

function fail(errno: keyof typeof errnoOf): never {
  throw new LibcError('fault', errnoOf[errno], 'injected');
}

/** Puts something else in a file's place between its stat and its opening. */
function replaceOnOpen(name: string, replace: (path: string) => void): void {
  let isDone = false;
  intercept('openAt', (_at, opened) => {
    if (opened !== name || isDone) return;
    isDone = true;
    replace(join(directory, name));
  });
}

describe('a file that something took the place of', () => {
  beforeEach(() => put('saved', 'the old version'));

  it('by a rename, as editors save, is backed up as it is now, with the new file\'s metadata', async () => {
    replaceOnOpen('saved', (path) => {
      writeFileSync(`${scratch}/new`, 'the new and longer version', { mode: 0o600 });
      execFileSync('setfattr', ['-n', 'user.version', '-v', '2', `${scratch}/new`]);
      renameSync(`${scratch}/new`, path);
    });
    expect(await backUp()).toMatchObject({ complete: true, files: 1, warnings: [] });
    jest.restoreAllMocks();
    const target = join(scratch, 'target');
    await restore(repository, { snapshot: 'latest', subtree: '/data', target });
    expect(compareTrees(directory, target)).toEqual([]);
  });

  it.each<readonly [string, (path: string) => void]>([
    ['a directory', (path) => mkdirSync(path)],
    ['a FIFO', (path) => void execFileSync('mkfifo', [path])],
    ['a symbolic link', (path) => symlinkSync('/etc/passwd', path)],
  ])('%s, is missing, and the backup says that it is not complete', async (_what, make) => {
    replaceOnOpen('saved', (path) => {
      rmSync(path);
      make(path);
    });
    const outcome = await backUp();
    expect(outcome).toMatchObject({ complete: false, files: 0, warnings: [{ path: '/data/saved', kind: 'unreadable' }] });
  });
});

describe('a network file system', () => {
  beforeEach(() => {
    for (const name of ['a/1', 'a/2', 'b/1', 'b/2', 'c']) put(name, `content of ${name}`);
  });

  it('that has lost one file leaves the backup incomplete', async () => {
    intercept('openAt', (_at, name) => {
      if (name === 'c') fail('ESTALE');
    });
    expect(await backUp()).toMatchObject({ complete: false, files: 4, warnings: [{ path: '/data/c', kind: 'unreadable', message: expect.stringContaining('ESTALE') }] });
  });

  it('that loses a directory once it is open leaves the backup incomplete, and the rest is in it', async () => {
    let isNext = false;
    intercept('openAt', (_at, name) => {
      isNext = name === 'a';
    });
    intercept('stat', () => {
      if (isNext) {
        isNext = false;
        fail('ESTALE');
      }
    });
    expect(await backUp()).toMatchObject({ complete: false, files: 3, warnings: [{ path: '/data/a', kind: 'unreadable' }] });
  });

  it('that loses a large file after it was read leaves the backup incomplete', async () => {
    put('large', 'x'.repeat(2_000_000));
    let isLarge = false;
    let stats = 0;
    intercept('openAt', (_at, name) => {
      isLarge = name === 'large';
    });
    intercept('stat', (_descriptor, isAsked) => {
      if (isLarge && isAsked !== true && (stats += 1) === 2) fail('EIO');
    });
    expect(await backUp()).toMatchObject({ complete: false, files: 5, warnings: [{ path: '/data/large', kind: 'unreadable', message: expect.stringContaining('EIO') }] });
  });

  it.each(['ESTALE', 'EIO', 'ETIMEDOUT', 'ENOTCONN'] as const)('whose root ends with %s under the walk ends the backup, which stores nothing', async (code) => {
    let isDead = false;
    for (const call of ['openAt', 'statAt', 'stat', 'namesIn'] as const) {
      intercept(call, (...args) => {
        isDead ||= call === 'statAt' && args[1] === 'b';
        if (isDead) fail(code);
      });
    }
    await expect(backUp()).rejects.toMatchObject({ code: 'SourceLost', retryable: true, message: expect.stringMatching(new RegExp(`${directory} was lost .*\\(${code}\\)`)) });
    expect(await listSnapshots(repository)).toEqual([]);
  });

  it('whose root cannot be listed is no empty source', async () => {
    intercept('namesIn', () => fail('EIO'));
    await expect(backUp()).rejects.toMatchObject({ code: 'SourceLost' });
    expect(await listSnapshots(repository)).toEqual([]);
  });
});

it('a source that is removed while it is read is no small one', async () => {
  for (const name of ['a/1', 'b/1']) put(name, name);
  intercept('statAt', (_at, name) => {
    if (name === 'b') rmSync(directory, { recursive: true, force: true });
  });
  await expect(backUp()).rejects.toMatchObject({ code: 'SourceLost', message: expect.stringContaining('it was removed') });
  expect(await listSnapshots(repository)).toEqual([]);
});
