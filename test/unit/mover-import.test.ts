import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeWrapping } from '../../src/keys/index.ts';
import { importFile } from '../../src/mover/import.ts';
import { EngineError } from '../../src/restic/errors.ts';
import { MemoryStore, type PutOptions, type ObjectBody } from '../../src/storage/index.ts';
import { contentNamed, soundParts, tarOf, type TarPart } from '../support/hostile-tar.ts';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('importing a file', () => {
  let folder: string;
  let input: string;
  let store: MemoryStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tenant-backup-import-'));
    input = join(folder, 'upload.tar');
    store = new MemoryStore();
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function imported(bytes: Uint8Array): Promise<Awaited<ReturnType<typeof importFile>>> {
    await writeFile(input, bytes);
    return importFile({ input, store });
  }

  async function stored(): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    return keys;
  }

  it('takes one that is sound, and stores what belongs to a repository', async () => {
    const outcome = await imported(tarOf(soundParts()));
    const names = soundParts().map(({ name }) => name);
    expect(outcome).toMatchObject({ files: 6, snapshot: names.find((name) => name.startsWith('snapshots/'))!.slice(10) });
    expect(await stored()).toEqual(names.filter((name) => name !== 'README.txt').sort());
  });

  it.each<[string, (parts: TarPart[]) => Uint8Array, string]>([
    ['an empty file', () => new Uint8Array(0), 'cut short'],
    ['an empty tar', () => tarOf([]), 'no snapshot'],
    ['something else', () => Buffer.alloc(4096, 'x'), 'not a number'],
    ['a path that leads out', (parts) => tarOf([...parts, { name: '../../etc/cron.d/x', content: ascii('x') }]), 'does not belong'],
    ['a path that leads out below a good name', (parts) => tarOf([...parts, { name: 'data/aa/../../config', content: ascii('x') }]), 'does not belong'],
    ['an absolute path', (parts) => tarOf([...parts, { name: '/etc/passwd', content: ascii('x') }]), 'does not belong'],
    ['a lock file', (parts) => tarOf([...parts, contentNamed('locks', ascii('x'))]), 'does not belong'],
    ['a manifest', (parts) => tarOf([...parts, { name: `manifests/${'a'.repeat(64)}/1.json`, content: ascii('{}') }]), 'does not belong'],
    ['a symbolic link', (parts) => tarOf([...parts, { name: 'config2', tamper: (header) => header.set(ascii('2'), 156) }]), 'neither a file nor a folder'],
    ['a hard link in place of a pack', (parts) => tarOf([...parts, { name: 'config', tamper: (header) => header.set(ascii('1'), 156) }]), 'neither a file nor a folder'],
    ['a device', (parts) => tarOf([...parts, { name: 'x', tamper: (header) => header.set(ascii('3'), 156) }]), 'neither a file nor a folder'],
    ['a pax record', (parts) => tarOf([{ name: 'x', content: ascii('12 path=a\n'), tamper: (header) => header.set(ascii('x'), 156) }, ...parts]), 'neither a file nor a folder'],
    ['a GNU long name', (parts) => tarOf([{ name: 'x', content: ascii('config'), tamper: (header) => header.set(ascii('L'), 156) }, ...parts]), 'neither a file nor a folder'],
    ['a size beyond the end', (parts) => tarOf([...parts, { name: `data/aa/aa${'0'.repeat(62)}`, tamper: (header) => header.set(ascii('77777777777'), 124) }]), 'cut short'],
    ['a size in base 256', (parts) => tarOf([...parts, { name: 'x', tamper: (header) => header.set([0x80, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff], 124) }]), 'not a number'],
    ['a config of 2 MiB', (parts) => tarOf(parts.map((part) => (part.name === 'config' ? { name: 'config', content: new Uint8Array(2 << 20) } : part))), 'more than such a file can have'],
    ['a name twice', (parts) => tarOf([...parts, parts[1]!]), 'in it twice'],
    ['a name twice, once with ./', (parts) => tarOf([...parts, { name: './config', content: ascii('other') }]), 'in it twice'],
    ['a wrong checksum in a header', (parts) => tarOf(parts).fill(1, 110, 111), 'wrong checksum'],
    ['no end', (parts) => tarOf(parts, new Uint8Array(0)), 'cut short'],
    ['something behind the end', (parts) => tarOf(parts, Buffer.concat([new Uint8Array(1024), ascii('hidden')])), 'behind its end'],
    ['a folder with content', (parts) => tarOf([...parts, { name: 'data/', content: ascii('x') }]), 'has content'],
    ['two snapshots', (parts) => tarOf([...parts, contentNamed('snapshots', ascii('second'))]), '2 snapshots'],
    ['no config', (parts) => tarOf(parts.filter(({ name }) => name !== 'config')), 'no config'],
    ['no key file', (parts) => tarOf(parts.filter(({ name }) => !name.startsWith('keys/'))), 'no keys'],
    ['no index', (parts) => tarOf(parts.filter(({ name }) => !name.startsWith('index/'))), 'no index'],
    ['a pack whose content is another', (parts) => tarOf(parts.map((part) => (part.name.startsWith('data/') ? { ...part, content: ascii('forged') } : part))), 'SHA-256'],
    ['a snapshot whose content is another', (parts) => tarOf(parts.map((part) => (part.name.startsWith('snapshots/') ? { ...part, content: ascii('forged') } : part))), 'SHA-256'],
    ['a wrapping that is none', (parts) => tarOf([...parts, contentNamed('wrappings', ascii('{}'), '.json')]), 'damaged'],
  ])('refuses %s, and leaves nothing behind', async (_, make, message) => {
    const attempt = imported(make(soundParts()));
    await expect(attempt).rejects.toMatchObject({ name: 'EngineError', code: 'Damaged', message: expect.stringContaining(message) });
    expect(await stored()).toEqual([]);
  });

  it('refuses wrapped keys of two tenants in one file', async () => {
    const wrappings = ['a', 'b'].map((letter) => {
      const tenant = letter.repeat(32);
      const { name, bytes } = encodeWrapping({
        version: 1, tenant, generation: 1, createdAt: '2026-01-01T00:00:00Z', provider: 'local', keyId: 'k', ciphertext: 'AAAA',
        context: { 'tenant-backup/tenant': tenant, 'tenant-backup/generation': '1' },
      });
      return { name: `wrappings/${name}.json`, content: bytes };
    });
    const one = await imported(tarOf([...soundParts(), wrappings[0]!]));
    expect(one.owner).toEqual({ tenant: 'a'.repeat(32), generation: 1 });
    store = new MemoryStore();
    await expect(imported(tarOf([...soundParts(), ...wrappings]))).rejects.toMatchObject({ message: expect.stringContaining('different tenants') });
    expect(await stored()).toEqual([]);
  });

  it('refuses a file that is cut anywhere, and leaves nothing behind', async () => {
    const whole = tarOf(soundParts());
    for (let length = 0; length < whole.byteLength - 512; length += 97) {
      await writeFile(input, whole);
      await truncate(input, length);
      await expect(importFile({ input, store })).rejects.toMatchObject({ code: 'Damaged' });
      expect(await stored()).toEqual([]);
    }
  });

  it('never takes a file with any byte changed for something else than it was', async () => {
    const whole = tarOf(soundParts());
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.byteLength - 1 }), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        store = new MemoryStore();
        const changed = Uint8Array.from(whole);
        changed[at]! ^= flip;
        try {
          await imported(changed);
          // Bytes that nobody reads (padding, the README, a free part of a header), or `config`, which has no hash to hold it to.
          const keys = await stored();
          expect(keys).toEqual(soundParts().map(({ name }) => name).filter((name) => name !== 'README.txt').sort());
        } catch (error) {
          if (!(error instanceof EngineError)) throw error;
          expect(await stored()).toEqual([]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('fails with an EngineError and nothing else, whatever the bytes are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => {
        await expect(imported(bytes)).rejects.toBeInstanceOf(EngineError);
        expect(await stored()).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('is never merged with what lies there already', async () => {
    await store.put('config', ascii('somebody else'));
    await expect(imported(tarOf(soundParts()))).rejects.toMatchObject({ code: 'AlreadyInitialized' });
    expect(Buffer.from(await store.get('config')).toString()).toBe('somebody else');
    expect(await stored()).toEqual(['config']);
  });

  it('puts config last, and removes everything when the store fails in between', async () => {
    const order: string[] = [];
    class FailingStore extends MemoryStore {
      override put(key: string, body: ObjectBody, options?: PutOptions): Promise<void> {
        order.push(key);
        return key === 'config' ? Promise.reject(new Error('the line broke')) : super.put(key, body, options);
      }
    }
    store = new FailingStore();
    await expect(imported(tarOf(soundParts()))).rejects.toThrow('the line broke');
    expect(order.at(-1)).toBe('config');
    expect(order).toHaveLength(6);
    expect(await stored()).toEqual([]);
  });

  it('says so when the file is not there, or is a folder', async () => {
    await expect(importFile({ input, store })).rejects.toMatchObject({ code: 'SourceMissing' });
    await expect(importFile({ input: folder, store })).rejects.toMatchObject({ code: 'SourceMissing' });
  });

  it('stops when told to, and leaves nothing behind', async () => {
    await writeFile(input, tarOf(soundParts()));
    await expect(importFile({ input, store, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'Aborted' });
    expect(await stored()).toEqual([]);
  });
});
