import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { openLocalKms, parseLocalKey, readLocalKeyFile, tenantContext } from '../../src/keys/index.ts';
import { randomLocalKms } from '../support/fake-kms.ts';

const CONTEXT = tenantContext('a'.repeat(32), 1);

describe('the local key provider', () => {
  it('unwraps what it wrapped under the same context, and nothing else', async () => {
    const kms = await randomLocalKms();
    const key = randomBytes(32);
    const { ciphertext, keyId } = await kms.wrap(key, CONTEXT);

    expect(keyId).toBe(kms.keyId);
    expect(Buffer.from(await kms.unwrap(ciphertext, CONTEXT))).toEqual(key);
    for (const other of [tenantContext('b'.repeat(32), 1), tenantContext('a'.repeat(32), 2)]) {
      await expect(kms.unwrap(ciphertext, other)).rejects.toMatchObject({ code: 'WrongContext', retryable: false });
    }
    await expect((await randomLocalKms()).unwrap(ciphertext, CONTEXT)).rejects.toMatchObject({ code: 'WrongContext' });
  });

  it('refuses any change to the ciphertext', async () => {
    const kms = await randomLocalKms();
    const { ciphertext } = await kms.wrap(randomBytes(32), CONTEXT);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: ciphertext.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Uint8Array.from(ciphertext);
        changed[at]! ^= flip;
        await expect(kms.unwrap(changed, CONTEXT)).rejects.toMatchObject({ code: 'WrongContext' });
      }),
    );
    await expect(kms.unwrap(ciphertext.subarray(0, 27), CONTEXT)).rejects.toMatchObject({ code: 'WrongContext' });
    await expect(kms.unwrap(ciphertext.subarray(0, -1), CONTEXT)).rejects.toMatchObject({ code: 'WrongContext' });
  });

  it('says loudly that it is not for production', async () => {
    const said: string[] = [];
    await openLocalKms({ readKey: () => Promise.resolve(randomBytes(32)), warn: (message) => said.push(message) });
    expect(said).toEqual([expect.stringContaining('NOT FOR PRODUCTION')]);
  });

  it('wipes the key after each use', async () => {
    const handed: Uint8Array[] = [];
    const kms = await openLocalKms({
      readKey: () => {
        handed.push(new Uint8Array(32).fill(7));
        return Promise.resolve(handed.at(-1)!);
      },
      warn: () => undefined,
    });
    await kms.wrap(randomBytes(32), CONTEXT);
    expect(handed.length).toBeGreaterThan(1);
    for (const key of handed) expect(key).toEqual(new Uint8Array(32));
  });

  it('reads a key file that is raw, hex or base64', async () => {
    const key = randomBytes(32);
    expect(Buffer.from(parseLocalKey(Uint8Array.from(key)))).toEqual(key);
    expect(parseLocalKey(Buffer.from(`${key.toString('hex')}\n`))).toEqual(key);
    expect(parseLocalKey(Buffer.from(` ${key.toString('base64')}\r\n`))).toEqual(key);

    const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-keyfile-'));
    await writeFile(join(folder, 'key'), key);
    expect(await readLocalKeyFile(join(folder, 'key'))).toEqual(key);
    await expect(readLocalKeyFile(join(folder, 'none'))).rejects.toMatchObject({ code: 'KeyNotFound', message: expect.stringContaining('head -c 32') });
    await expect(readLocalKeyFile(folder)).rejects.toMatchObject({ code: 'AccessDenied' });
    await rm(folder, { recursive: true });
  });

  it('refuses any other key file', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        fc.pre(bytes.length !== 32);
        expect(() => parseLocalKey(bytes)).toThrow('the local key must be 32 bytes');
      }),
    );
  });
});
