import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify, type KeyObject } from 'node:crypto';
import { AuditError } from './errors.ts';

/** SubjectPublicKeyInfo of an Ed25519 key is this and the 32 bytes of the key (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_BYTES = 32;
const FINGERPRINT_CHARACTERS = 16;

/** What an installation signs its audit trails with. The private part never leaves it. */
export interface AuditSigner {
  /** The 32 bytes of the Ed25519 public key, base64. It stands in every event; publish it where the installation cannot change it. */
  readonly publicKey: string;
  /** Base64. */
  sign(bytes: Uint8Array): string;
  /** A name for a person that only this installation can relate to them: `sub-` and 128 bits of an HMAC. */
  pseudonym(subject: string): string;
}

/** What a Secret keeps of a signer: base64 of the PKCS #8 DER of the key, and of the 32 bytes that pseudonyms are made with. */
export interface AuditKeys {
  readonly signingKey: string;
  readonly pseudonymKey: string;
}

export function newAuditKeys(): AuditKeys {
  const { privateKey } = generateKeyPairSync('ed25519');
  return {
    signingKey: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    pseudonymKey: randomBytes(KEY_BYTES).toString('base64'),
  };
}

/** @throws {AuditError} `InvalidKey`, without a word of the key */
export function openAuditSigner(keys: AuditKeys): AuditSigner {
  const pseudonymKey = Buffer.from(keys.pseudonymKey, 'base64');
  if (pseudonymKey.byteLength !== KEY_BYTES) throw new AuditError('InvalidKey', `the key of pseudonyms has ${pseudonymKey.byteLength} bytes instead of ${KEY_BYTES}; restore the Secret from your own copy of it`);
  const privateKey = readPrivateKey(keys.signingKey);
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.byteLength).toString('base64');
  return {
    publicKey,
    sign: (bytes) => sign(null, bytes, privateKey).toString('base64'),
    pseudonym: (subject) => `sub-${createHmac('sha256', pseudonymKey).update(subject).digest('hex').slice(0, 32)}`,
  };
}

function readPrivateKey(text: string): KeyObject {
  try {
    const key = createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' });
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // The cause could quote the key.
  }
  throw new AuditError('InvalidKey', 'the signing key is no Ed25519 key in PKCS #8 (base64 of DER); restore the Secret from your own copy of it');
}

/** Whether the holder of that public key signed these bytes. Never throws: what does not read as key or signature did not. */
export function isSignedBy(publicKey: string, bytes: Uint8Array, signature: string): boolean {
  const [raw, signed] = [fromBase64(publicKey), fromBase64(signature)];
  if (raw?.byteLength !== KEY_BYTES || signed === undefined) return false;
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
    return verify(null, bytes, key, signed);
  } catch {
    return false;
  }
}

/** Only the one text that stands for these bytes: the last character before `=` has bits that a decoder passes over (RFC 4648, section 3.5). */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** What people compare: the first 16 hex digits of the SHA-256 of a public key. */
export function fingerprintOf(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('hex').slice(0, FINGERPRINT_CHARACTERS);
}
