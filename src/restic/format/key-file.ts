import { randomBytes, scrypt } from 'node:crypto';
import { CipherKey, clampMacKey, keyMaterialLength } from './crypto.ts';
import { damaged } from './damaged.ts';
import { goJson } from './go-text.ts';
import { JsonReader, parseJson } from './json.ts';
import { formatTime } from './time.ts';

/** A file under `keys/` (design.rst "Keys, Encryption and MAC"): the master key, sealed under a password. */
export interface KeyFile {
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
  /** The sealed master key. */
  readonly data: Uint8Array;
}

/** Our passwords have 256 random bits, so a slow function would only add delay (`layout.md`). */
const ourCost = { n: 1024, r: 8, p: 1 };
/** Other programs calibrate up to about 64 MiB; what asks for more than this is an attack on our memory. */
const maxScryptBytes = 256 * 1024 * 1024;
const maxParallelism = 64;

/** The JSON of a new key file for `master` under `password`. */
export async function encodeKeyFile(master: CipherKey, password: Uint8Array, now: Date): Promise<Uint8Array> {
  const salt = randomBytes(64);
  const userKey = await deriveUserKey(password, { ...ourCost, salt });
  const data = userKey.seal(encodeMasterKey(master));
  userKey.wipe();
  const time = { seconds: Math.floor(now.getTime() / 1000), nanoseconds: (now.getTime() % 1000) * 1e6 };
  const json = goJson({
    created: formatTime(time),
    username: '',
    hostname: '',
    kdf: 'scrypt',
    N: ourCost.n,
    r: ourCost.r,
    p: ourCost.p,
    salt: salt.toString('base64'),
    data: Buffer.from(data).toString('base64'),
  });
  return Buffer.from(json, 'utf8');
}

/** @throws {EngineError} `Damaged`, also for a cost that no honest program asks for */
export function parseKeyFile(json: Uint8Array, what: string): KeyFile {
  const reader = new JsonReader(parseJson(json, what), what);
  if (reader.text('kdf') !== 'scrypt') throw damaged(what, 'it names a key derivation other than scrypt');
  const file = {
    n: reader.count('N'),
    r: reader.count('r', 1024),
    p: reader.count('p', maxParallelism),
    salt: Buffer.from(reader.text('salt'), 'base64'),
    data: Buffer.from(reader.text('data'), 'base64'),
  };
  const isPowerOfTwo = file.n > 1 && Number.isInteger(Math.log2(file.n));
  if (!isPowerOfTwo || file.r < 1 || file.p < 1 || 128 * file.n * file.r > maxScryptBytes) throw damaged(what, 'its scrypt parameters are out of range');
  return file;
}

/** The master key, or `undefined` when the password does not open this key file. */
export async function openKeyFile(file: KeyFile, password: Uint8Array, what: string): Promise<CipherKey | undefined> {
  const userKey = await deriveUserKey(password, file);
  const plaintext = userKey.open(file.data);
  userKey.wipe();
  if (plaintext === undefined) return undefined;
  try {
    return parseMasterKey(plaintext, what);
  } finally {
    plaintext.fill(0);
  }
}

function deriveUserKey(password: Uint8Array, { n, r, p, salt }: Omit<KeyFile, 'data'>): Promise<CipherKey> {
  return new Promise((resolve, reject) => {
    const options = { N: n, r, p, maxmem: 128 * r * (n + p + 2) + 1024 * 1024 };
    scrypt(password, salt, keyMaterialLength, options, (error, material) => {
      if (error === null) resolve(new CipherKey(material));
      else reject(error);
    });
  });
}

function encodeMasterKey(master: CipherKey): Uint8Array {
  const base64 = (from: number, to: number) => Buffer.from(master.material.subarray(from, to)).toString('base64');
  return Buffer.from(JSON.stringify({ mac: { k: base64(32, 48), r: base64(48, 64) }, encrypt: base64(0, 32) }), 'utf8');
}

function parseMasterKey(json: Uint8Array, what: string): CipherKey {
  const reader = new JsonReader(parseJson(json, what), what);
  const mac = reader.object('mac');
  const parts = [reader.text('encrypt'), mac.text('k'), mac.text('r')].map((text) => Buffer.from(text, 'base64'));
  if (parts[0]?.length !== 32 || parts[1]?.length !== 16 || parts[2]?.length !== 16) throw damaged(what, 'its master key has the wrong length');
  // Not Buffer.concat, which may hand out a slice of Node's shared pool: the key must lie alone to be wiped and shared.
  const material = new Uint8Array(keyMaterialLength);
  material.set(parts[0], 0);
  material.set(parts[1], 32);
  material.set(parts[2], 48);
  clampMacKey(material.subarray(48));
  return new CipherKey(material);
}
