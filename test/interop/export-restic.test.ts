import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureGenerationKey } from '../../src/keys/index.ts';
import { copyRepository } from '../../src/mover/copy.ts';
import { exportLayout } from '../../src/mover/export-layout.ts';
import { exportBytes, exportSnapshot } from '../../src/mover/export.ts';
import { importFile } from '../../src/mover/import.ts';
import { publishManifest, readManifest } from '../../src/mover/manifest-store.ts';
import { isExportedIndex, type Manifest } from '../../src/mover/manifest.ts';
import * as engine from '../../src/restic/index.ts';
import { FileStore, MemoryStore, type ObjectStore } from '../../src/storage/index.ts';
import { randomLocalKms } from '../support/fake-kms.ts';

const run = promisify(execFile);
const TENANT = 'c'.repeat(32);

describe('a downloaded file', () => {
  let folder: string;
  let source: string;
  let store: ObjectStore;
  let password: Uint8Array;
  let manifest: Manifest;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tenant-backup-export-'));
    source = join(folder, 'source');
    await writeTree(source);
    store = new FileStore(join(folder, 'bucket')).within('g1');
    const kms = await randomLocalKms();
    password = (await ensureGenerationKey(store, TENANT, 1, [kms])).secretKey;
    const repository = await engine.initRepository({ store, password });
    await snapshotOf(repository, 'first');
    await writeFile(join(source, 'changed'), randomBytes(3_000_000));
    await writeFile(join(source, 'kept'), randomBytes(2_000));
    await snapshotOf(repository, 'second');
    // Of the second night's packs one is needed no more, so an export takes the place of its index file; the others go as they are.
    await rm(join(source, 'changed'));
    await writeFile(join(source, 'changed-again'), randomBytes(2_000_000));
    manifest = await snapshotOf(repository, 'third');
    await repository.close();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function snapshotOf(repository: engine.Repository, tag: string): Promise<Manifest> {
    const { reach, complete } = await engine.backup(repository, {
      hostname: 'test',
      snapshotHostname: TENANT,
      sources: [{ directory: source, as: '/volumes/data' }],
      tags: [`policy=${tag}`],
    });
    return publishManifest(engine, repository, { tenant: TENANT, generation: 1, reach, complete, createdAt: new Date() });
  }

  async function exported(name: string): Promise<string> {
    const output = join(folder, name);
    await exportSnapshot({ store, snapshot: manifest.snapshot, output });
    return output;
  }

  function restic(repository: string, ...args: string[]): Promise<{ stdout: string }> {
    const env = { PATH: process.env['PATH'], HOME: folder, RESTIC_PASSWORD: Buffer.from(password).toString() };
    return run('restic', ['-r', repository, '--no-lock', '--no-cache', ...args], { env });
  }

  it('opens with tar and restic and the released key, as the README in it says, and every byte is there', async () => {
    const file = await exported('download.tar');
    const repository = join(folder, 'repo');
    await mkdir(repository);
    await run('tar', ['xf', file, '-C', repository]);
    await restic(repository, 'check', '--read-data');
    const target = join(folder, 'out');
    await restic(repository, 'restore', 'latest', '--target', target);
    await run('diff', ['-r', source, join(target, 'volumes', 'data')]);
    expect(JSON.parse((await restic(repository, 'snapshots', '--json')).stdout)).toHaveLength(1);
    expect(await readFile(join(repository, 'README.txt'), 'utf8')).toContain('restic -r repo --no-lock restore latest --target out');
  });

  it('has the same bytes each time, and any range of them can be fetched alone', async () => {
    const whole = await readFile(await exported('one.tar'));
    expect(whole.equals(await readFile(await exported('two.tar')))).toBe(true);
    const layout = exportLayout((await readManifest(store, manifest.snapshot))!);
    expect(layout.size).toBe(whole.length);
    expect(layout.etag).toMatch(/^"[0-9a-f]{32}"$/);
    const cuts = [0, 1, 511, 512, 513, 2_000, whole.length >> 1, whole.length - 1_025, whole.length - 1, whole.length];
    for (const start of cuts) {
      for (const end of cuts.filter((cut) => cut >= start)) {
        const part = await collect(exportBytes(store, layout, { start, end }));
        expect(part.equals(whole.subarray(start, end))).toBe(true);
      }
    }
  });

  it('holds owner 0:0, fixed modes and times, and nothing but one snapshot', async () => {
    const { stdout } = await run('tar', ['tvf', await exported('listed.tar'), '--numeric-owner']);
    const lines = stdout.trim().split('\n');
    for (const line of lines) expect(line).toMatch(/^(-rw-r--r--|drwxr-xr-x) 0\/0 /);
    const names = lines.map((line) => line.split(/\s+/).at(-1)!);
    expect(names.slice(0, 3)).toEqual(['README.txt', 'config', 'keys/']);
    expect(names.filter((name) => /^index\/.+/.test(name))).toHaveLength(manifest.files.filter(isExportedIndex).length);
    expect(manifest.files.some(({ name }) => name.startsWith('exports/'))).toBe(true);
    expect(names.filter((name) => /^snapshots\/.+/.test(name))).toEqual([`snapshots/${manifest.snapshot}`]);
    expect(names.filter((name) => /^wrappings\/.+/.test(name))).toHaveLength(1);
  });

  it('is imported into a place of its own, and restic finds it sound there', async () => {
    const target = join(folder, 'imported');
    const outcome = await importFile({ input: await exported('back.tar'), store: new FileStore(target) });
    expect(outcome).toMatchObject({ snapshot: manifest.snapshot, owner: { tenant: TENANT, generation: 1 } });
    await restic(target, 'check', '--read-data');
    const repository = await engine.openRepository({ store: new FileStore(target), password, readOnly: true });
    await engine.restore(repository, { snapshot: manifest.snapshot, subtree: '/volumes/data', target: join(folder, 'restored') });
    await repository.close();
    await run('diff', ['-r', source, join(folder, 'restored')]);
  });

  it('is also taken when people unpacked it and packed it again', async () => {
    const loose = join(folder, 'loose');
    await mkdir(loose);
    await run('tar', ['xf', await exported('repack.tar'), '-C', loose]);
    await run('tar', ['cf', join(folder, 'packed-again.tar'), '-C', loose, '.']);
    const outcome = await importFile({ input: join(folder, 'packed-again.tar'), store: new MemoryStore() });
    expect(outcome.snapshot).toBe(manifest.snapshot);
  });

  it('is not made when a pack of it is damaged in the store, and no half of it stays', async () => {
    const broken = new MemoryStore();
    await copyRepository({ from: store, to: broken });
    const pack = manifest.files.find(({ name }) => name.startsWith('data/'))!;
    const bytes = Uint8Array.from(await broken.get(pack.name));
    bytes[bytes.length >> 1]! ^= 1;
    await broken.put(pack.name, bytes);
    const output = join(folder, 'never.tar');
    await expect(exportSnapshot({ store: broken, snapshot: 'latest', output })).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining(pack.name) });
    expect((await run('ls', [folder])).stdout).not.toContain('never.tar');
  });

  it('is never written over another file', async () => {
    const output = await exported('precious.tar');
    const before = createHash('sha256').update(await readFile(output)).digest('hex');
    await expect(exportSnapshot({ store, snapshot: 'latest', output })).rejects.toMatchObject({ code: 'AlreadyInitialized' });
    await expect(exportSnapshot({ store, snapshot: 'latest', output: join(folder, 'no', 'such', 'folder.tar') })).rejects.toMatchObject({ code: 'TargetUnwritable' });
    expect(createHash('sha256').update(await readFile(output)).digest('hex')).toBe(before);
  });

  it('a copied repository is one that restic finds sound, with all its snapshots', async () => {
    const target = join(folder, 'copied');
    const first = await copyRepository({ from: store, to: new FileStore(target) });
    const second = await copyRepository({ from: store, to: new FileStore(target) });
    expect(first.present).toBe(0);
    expect(second).toEqual({ copied: 0, bytesCopied: 0, present: first.copied });
    await restic(target, 'check', '--read-data');
    expect(JSON.parse((await restic(target, 'snapshots', '--json')).stdout)).toHaveLength(3);
  });
});

async function writeTree(root: string): Promise<void> {
  for (const [name, bytes] of [
    ['a/small.txt', Buffer.from('hello')],
    ['a/empty', Buffer.alloc(0)],
    ['a/deep/er/still/file', randomBytes(70_000)],
    ['large.bin', randomBytes(24_000_000)],
    ['text.txt', Buffer.from('line of text\n'.repeat(200_000))],
    ['changed', Buffer.from('before')],
  ] as const) {
    const path = join(root, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, bytes);
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
