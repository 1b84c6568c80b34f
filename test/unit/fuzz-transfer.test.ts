import { describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { KeyError } from '../../src/keys/errors.ts';
import { decodeFirstWrappings, decodeWrapping, encodeWrapping } from '../../src/keys/wrapping.ts';
import { planImport } from '../../src/mover/import-plan.ts';
import { decodeManifest, sealManifest } from '../../src/mover/manifest.ts';
import { decodeHeader, encodeHeader } from '../../src/mover/tar/header.ts';
import { indexTar, type TarSource } from '../../src/mover/tar/index-of-tar.ts';
import { EngineError } from '../../src/restic/index.ts';
import { canonicalJson } from '../../src/storage/index.ts';
import { fuzz, fuzzAsync, fuzzTimeoutMs, inputsNear } from '../support/fuzz.ts';
import { fixChecksum, soundParts, tarOf } from '../support/hostile-tar.ts';

const id = 'ab'.repeat(32);
const tenant = 'c'.repeat(32);
const tar = tarOf(soundParts());
const files = ['config', `keys/${id}`, `exports/${id}`, `snapshots/${id}`, `data/ab/${id}`].map((name) => ({ name, size: 5 }));
const { bytes: manifest } = sealManifest({ rev: 1, tenant, generation: 1, snapshot: id, createdAt: '2024-05-06T07:08:09Z', complete: true, files }, () => new Uint8Array(32));
const { bytes: wrapping } = encodeWrapping({
  version: 1, tenant, generation: 1, createdAt: '2024-05-06T07:08:09Z', provider: 'aws', keyId: 'arn:x', region: 'eu', ciphertext: 'AAAA',
  context: { 'tenant-backup/tenant': tenant, 'tenant-backup/generation': '1' },
});
const first = canonicalJson({ version: 1, tenant, generation: 1, wrappings: [id] });

function isDamage(error: unknown): boolean {
  return (error instanceof EngineError || error instanceof KeyError) && (error.code === 'Damaged' || error.code === 'UnknownVersion');
}

/** What readers of tars throw, for `importFile` to put into words; a slip of their own would be a TypeError of V8's words. */
function isRefusal(error: unknown): boolean {
  return error instanceof TypeError && /^(it is |it holds more|a header |the folder .* has content|something follows)|is neither a file nor a folder|is in it twice/s.test(error.message);
}

function sourceOf(bytes: Uint8Array): TarSource {
  return {
    stat: () => Promise.resolve({ size: bytes.length }),
    read(buffer, offset, length, position) {
      const part = bytes.subarray(position, position + length);
      buffer.set(part, offset);
      return Promise.resolve({ bytesRead: part.length });
    },
  };
}

describe('reading what came with a download', () => {
  it('manifests: end well or as Damaged', async () => {
    decodeManifest(manifest, 'x');
    await fuzz({ valid: manifest, parse: (bytes) => decodeManifest(bytes, 'x'), accepts: isDamage });
  }, fuzzTimeoutMs);

  it('wrapped keys: end well or as Damaged, also when their name fits', async () => {
    const parse = (bytes: Uint8Array) => decodeWrapping(hash('sha256', bytes, 'hex'), bytes);
    parse(wrapping);
    await fuzz({ valid: wrapping, parse, accepts: isDamage });
  }, fuzzTimeoutMs);

  it('the list of the first wrapped keys: ends well or as Damaged', async () => {
    decodeFirstWrappings(first);
    await fuzz({ valid: first, parse: decodeFirstWrappings, accepts: isDamage });
  }, fuzzTimeoutMs);

  it('tar headers, their checksums made right: end well or as refused', async () => {
    const valid = encodeHeader({ name: `data/ab/${id}`, size: 12_345, mtime: 1_700_000_000 });
    decodeHeader(valid);
    const parse = (bytes: Uint8Array): unknown => {
      const block = new Uint8Array(512);
      block.set(bytes.subarray(0, 512));
      fixChecksum(block);
      return decodeHeader(block);
    };
    await fuzz({ valid, parse, accepts: isRefusal });
  }, fuzzTimeoutMs);

  it('tars: end well or as refused, and never name a place outside of the file', async () => {
    const parse = async (bytes: Uint8Array): Promise<void> => {
      const members = await indexTar(sourceOf(bytes));
      for (const { offset, size } of members) expect(offset + size).toBeLessThanOrEqual(bytes.length);
      try {
        const plan = planImport(members);
        for (const { name } of plan.members) expect(name).toMatch(/^(config|(keys|index|snapshots)\/[0-9a-f]{64}|wrappings\/[0-9a-f]{64}\.json|data\/[0-9a-f]{2}\/[0-9a-f]{64})$/);
      } catch (error) {
        if (!isDamage(error)) throw error;
      }
    };
    await parse(tar);
    // Headers whose checksums fit lead further than those that are refused at once.
    const inputs = inputsNear(tar).map((bytes) => {
      for (let at = 0; at + 512 <= bytes.length; at += 512) if (Buffer.from(bytes.subarray(at + 257, at + 262)).toString('latin1') === 'ustar') fixChecksum(bytes.subarray(at, at + 512));
      return bytes;
    });
    await fuzzAsync({ valid: tar, parse, accepts: isRefusal }, inputs);
  }, fuzzTimeoutMs);
});
