import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { canonicalJson } from '../storage/index.ts';
import { KeyError } from './errors.ts';
import type { KmsProvider } from './kms-provider.ts';
import type { TenantContext } from './tenant-context.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface LocalKmsOptions {
  /** Names the key in wrappings; by default a fingerprint of it, so that a wrong file is noticed. */
  readonly keyId?: string;
  /** Gives the key's 32 bytes; they are wiped after each use. */
  readonly readKey: () => Promise<Uint8Array>;
  /** Told once that this is for trying out, not for production. */
  readonly warn: (message: string) => void;
}

export const LOCAL_KMS_WARNING =
  'the local key provider keeps the key beside the data that it protects: whoever reads the file reads every backup, and nobody records it. It is for trying out, NOT FOR PRODUCTION; use a KMS';

/**
 * The embedded provider for a try-out: AES-256-GCM under a key from a file, the context as associated data. Ciphertext:
 * nonce, encrypted key, tag.
 */
export async function openLocalKms(options: LocalKmsOptions): Promise<KmsProvider> {
  options.warn(LOCAL_KMS_WARNING);
  const keyId = options.keyId ?? (await withKey(options, fingerprint));
  return {
    provider: 'local',
    keyId,
    wrap: (key, context) => withKey(options, (wrappingKey) => ({ ciphertext: seal(wrappingKey, key, context), keyId })),
    unwrap: (ciphertext, context) => withKey(options, (wrappingKey) => unseal(wrappingKey, ciphertext, context, keyId)),
    close: () => undefined,
  };
}

/**
 * Reads a key file: 32 bytes as they are, or as 64 hex digits or base64 with white space around.
 * @throws {KeyError} `KeyNotFound`, `AccessDenied`, `InvalidKey`.
 */
export async function readLocalKeyFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const missing = typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'ENOENT';
    throw new KeyError(
      missing ? 'KeyNotFound' : 'AccessDenied',
      `the key file ${path} ${missing ? 'does not exist; make one with: head -c 32 /dev/urandom > FILE' : 'cannot be read; check its owner and mode'}`,
      { cause },
    );
  }
  return parseLocalKey(bytes);
}

/** The key in a key file's bytes; wipes them. */
export function parseLocalKey(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength === KEY_BYTES) return bytes;
  const text = bytes.byteLength <= 200 ? new TextDecoder('latin1').decode(bytes).trim() : '';
  bytes.fill(0);
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return Buffer.from(text, 'base64');
  throw new KeyError('InvalidKey', 'the local key must be 32 bytes, raw or as 64 hex digits or base64; make one with: head -c 32 /dev/urandom > FILE');
}

async function withKey<T>({ readKey }: LocalKmsOptions, use: (key: Uint8Array) => T): Promise<T> {
  const key = await readKey();
  try {
    if (key.byteLength !== KEY_BYTES) throw new KeyError('InvalidKey', `the local key has ${key.byteLength} bytes instead of ${KEY_BYTES}`);
    return use(key);
  } finally {
    key.fill(0);
  }
}

/** Tells keys apart and tells nothing about them: 256 random bits cannot be guessed from a hash. */
function fingerprint(key: Uint8Array): string {
  return createHash('sha256').update('tenant-backup local key\0').update(key).digest('hex').slice(0, 16);
}

function seal(wrappingKey: Uint8Array, key: Uint8Array, context: TenantContext): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', wrappingKey, nonce);
  cipher.setAAD(canonicalJson(context));
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
}

function unseal(wrappingKey: Uint8Array, ciphertext: Uint8Array, context: TenantContext, keyId: string): Uint8Array {
  if (ciphertext.byteLength < NONCE_BYTES + TAG_BYTES) throw refused(keyId);
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey, ciphertext.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(canonicalJson(context));
  decipher.setAuthTag(ciphertext.subarray(-TAG_BYTES));
  const plain = decipher.update(ciphertext.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    plain.fill(0);
    throw refused(keyId, cause);
  }
  return plain;
}

function refused(keyId: string, cause?: unknown): KeyError {
  return new KeyError('WrongContext', `the local key ${keyId} does not open this wrapped key: it was made with another key file, for another tenant or generation, or is damaged`, {
    context: { keyId },
    cause,
  });
}
