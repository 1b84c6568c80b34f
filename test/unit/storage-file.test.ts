import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rm, stat, symlink, utimes, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { alignedBuffer } from '../../src/restic/pipeline/pack-buffers.ts';
import { FileStore, makeFolders } from '../../src/storage/index.ts';

const run = promisify(execFile);

describe('a directory as a store', () => {
  let root: string;
  let store: FileStore;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'tenant-backup-file-'));
    store = new FileStore(root);
  });
  afterEach(() => rm(root, { recursive: true }));

  async function keys(): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of store.list('')) found.push(key);
    return found;
  }

  it('keeps files and folders from other users', async () => {
    await store.put('data/ab/object', Buffer.from('x'));
    expect((await stat(join(root, 'data/ab/object'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(root, 'data/ab'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, 'data'))).mode & 0o777).toBe(0o700);
  });

  it('leaves no unfinished object behind when a put fails', async () => {
    await store.put('k', Buffer.from('x'));
    await expect(store.put('k', Buffer.from('y'), { ifAbsent: true })).rejects.toMatchObject({ code: 'AlreadyExists' });
    await expect(store.put('k/below', Buffer.from('y'))).rejects.toMatchObject({ code: 'Unexpected', message: expect.stringContaining('a part of the path is a file') });
    await mkdir(join(root, 'folder'));
    await expect(store.put('folder', Buffer.from('y'))).rejects.toMatchObject({ name: 'StorageError' });
    expect(await readdir(root)).toEqual(['folder', 'k']);
  });

  it('does not list unfinished objects of somebody who was killed, nor symlinks', async () => {
    await store.put('k', Buffer.from('x'));
    await writeFile(join(root, '.tmp-abandoned'), 'half');
    await symlink('/etc', join(root, 'link'));
    await symlink('/etc/passwd', join(root, 'link2'));
    expect(await keys()).toEqual(['k']);
    await expect(store.put('.tmp-mine', Buffer.from('x'))).rejects.toMatchObject({ code: 'InvalidKey' });
  });

  it('removes unfinished objects of somebody who was killed once they are old, and nothing else', async () => {
    const before = new Date(Date.now() - 24 * 3_600_000);
    const old = new Date(before.getTime() - 1000);
    const young = new Date(before.getTime() + 60_000);
    const files: readonly (readonly [string, Date])[] = [['data/ab/.tmp-AAAAbbbb-_12', old], ['.tmp-0123456789ab', old], ['data/ab/.tmp-youngAndAlive'.slice(0, 25), young], ['.tmp-by-hand-of-somebody', old], ['an-object', old], ['other/.tmp-0123456789ab', old]];
    await mkdir(join(root, 'data/ab'), { recursive: true });
    await mkdir(join(root, 'other'));
    await mkdir(join(root, '.tmp-directory012'));
    await symlink('/etc', join(root, 'link'));
    for (const [name, time] of files) {
      await writeFile(join(root, name), 'half');
      await utimes(join(root, name), time, time);
    }
    await store.within('data').removeUnfinished?.('', before);
    await store.removeUnfinished('absent', before);
    expect(await readdir(join(root, 'data/ab'))).toEqual([files[2]?.[0].slice(8)]);
    expect((await readdir(root)).sort()).toEqual(['.tmp-0123456789ab', '.tmp-by-hand-of-somebody', '.tmp-directory012', 'an-object', 'data', 'link', 'other']);
    await store.removeUnfinished('', before);
    expect((await readdir(root)).sort()).toEqual(['.tmp-by-hand-of-somebody', '.tmp-directory012', 'an-object', 'data', 'link', 'other']);
    expect(await readdir(join(root, 'other'))).toEqual([]);
  });

  it('waits for the disk with each object and its name where it is told to, in the order that a power cut asks for', async () => {
    const probe = await open(root, 'r');
    const prototype = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    const order: string[] = [];
    const there = () => keys().then((found) => found.length);
    const note = (what: string) => async () => void order.push(`${what}, objects: ${String(await there())}`);
    const spies = [jest.spyOn(prototype, 'datasync').mockImplementation(note('content')), jest.spyOn(prototype, 'sync').mockImplementation(note('name'))];
    try {
      await store.put('loose', Buffer.from('x'));
      expect(order).toEqual([]);
      const durable = new FileStore(root, { durable: true });
      await durable.put('data/ab/one', Buffer.from('x'));
      await durable.put('data/ab/two', Buffer.from('x'), { ifAbsent: true });
      // The folders data and ab are names, too.
      expect(order.splice(0, 2)).toEqual(['name, objects: 1', 'name, objects: 1']);
      expect(order).toEqual(['content, objects: 1', 'name, objects: 2', 'content, objects: 2', 'name, objects: 3']);
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  });

  it.each([true, false])('takes the folders away that it made and that are empty again, and no others (durable: %j)', async (durable) => {
    await mkdir(join(root, 'standing'));
    const made = new FileStore(join(root, 'standing'), { durable });
    const anew = new FileStore(join(root, 'not/there'), { durable });
    await mkdir(join(root, 'standing/theirs'));
    for (const store of [made, anew]) {
      await store.put('a/b/c', Buffer.from('x'));
      await store.put('a/kept', Buffer.from('x'));
      await store.delete('a/b/c');
      await store.removeMadeFolders();
    }
    expect((await readdir(root, { recursive: true })).sort()).toEqual(['not', 'not/there', 'not/there/a', 'not/there/a/kept', 'standing', 'standing/a', 'standing/a/kept', 'standing/theirs']);
    for (const store of [made, anew]) {
      await store.delete('a/kept');
      await store.within('a').removeMadeFolders?.();
    }
    expect((await readdir(root, { recursive: true })).sort()).toEqual(['standing', 'standing/theirs']);
  });

  it('is not held up where a directory cannot be made although its parent is there', async () => {
    await expect(new FileStore('/proc/tenant-backup/objects').put('k', Buffer.from('x'))).rejects.toMatchObject({ name: 'StorageError' });
    expect(() => makeFolders('/proc/tenant-backup')).toThrow('ENOENT');
    expect(makeFolders(join(root, 'a/b/c'))).toBe(join(root, 'a'));
    expect(makeFolders(join(root, 'a/b/c'))).toBeUndefined();
    expect(makeFolders('/')).toBeUndefined();
    await writeFile(join(root, 'file'), 'x');
    expect(() => makeFolders(join(root, 'file'))).toThrow('EEXIST');
    expect(() => makeFolders(join(root, 'file/below'))).toThrow('ENOTDIR');
  });

  it('is not held up by a FIFO that lies in it', async () => {
    await run('mkfifo', [join(root, 'fifo')]);
    await expect(store.get('fifo')).rejects.toMatchObject({ code: 'NotFound' });
    expect(await keys()).toEqual([]);
  });

  // A buffer on a page boundary goes past the page cache where the file system has that; every other one through it.
  it.each([0, 1, 16, 512])('writes objects of all lengths whole and durably, from memory %d bytes behind a page boundary', async (shift) => {
    const durable = new FileStore(root, { durable: true });
    const memory = alignedBuffer(4 * 1024 * 1024).subarray(shift);
    randomFillSync(memory);
    for (const length of [1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 1024 * 1024 + 4095, 3 * 1024 * 1024 + 512, memory.length]) {
      const key = `objects/${length}`;
      await durable.put(key, memory.subarray(0, length));
      expect(Buffer.compare(await durable.get(key), memory.subarray(0, length))).toBe(0);
    }
  });

  it('writes durably where nothing can go past the page cache', async () => {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', root]);
    try {
      const bytes = alignedBuffer(2 * 1024 * 1024 + 5);
      randomFillSync(bytes);
      const durable = new FileStore(root, { durable: true });
      await durable.put('k', bytes);
      expect(Buffer.compare(await durable.get('k'), bytes)).toBe(0);
      await expect(durable.put('large', alignedBuffer(9 * 1024 * 1024).fill(1))).rejects.toMatchObject({ name: 'StorageError' });
      expect(await readdir(root)).toEqual(['k']);
    } finally {
      await run('umount', [root]);
    }
  });

  it('says that the disk is full, and keeps no half of the object', async () => {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root]);
    try {
      await store.put('fits', Buffer.alloc(300_000));
      await expect(store.put('too/large', [Buffer.alloc(300_000), Buffer.alloc(900_000)])).rejects.toMatchObject({ code: 'NoSpace', retryable: false, message: expect.stringContaining('no space') });
      expect(await keys()).toEqual(['fits']);
      expect(await readdir(join(root, 'too'))).toEqual([]);
    } finally {
      await run('umount', [root]);
    }
  });

  it('says that it is mounted read-only', async () => {
    await run('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', root]);
    try {
      await expect(store.put('k', Buffer.from('x'))).rejects.toMatchObject({ code: 'AccessDenied', message: expect.stringContaining('read-only') });
    } finally {
      await run('umount', [root]);
    }
  });

  it('refuses a lock that it cannot keep', async () => {
    const retention = { mode: 'COMPLIANCE', until: new Date(Date.now() + 1000) } as const;
    await expect(store.put('k', Buffer.from('x'), { retention })).rejects.toMatchObject({ code: 'Unsupported' });
    expect(await keys()).toEqual([]);
  });
});
