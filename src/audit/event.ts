import { hash } from 'node:crypto';
import * as z from 'zod';
import { canonicalJson, parseCanonicalJson } from '../storage/index.ts';
import { AuditError } from './errors.ts';
import { isSignedBy, type AuditSigner } from './signer.ts';

export const AUDIT_VERSION = 1;
/** What the first event has in place of an event before it. */
export const NO_EVENT = '0'.repeat(64);
const SEQ_DIGITS = 12;
const TenantId = z.string().regex(/^[0-9a-f]{32}$/);
const Seq = z.int().min(1).max(999_999_999_999);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const PublicKey = z.base64().length(44);
const Signature = z.base64().length(88);

const Details = z.record(z.string().min(1).max(64), z.union([z.string().max(2048), z.number(), z.boolean()])).refine((details) => Object.keys(details).length <= 32);
export type AuditDetails = z.infer<typeof Details>;

/** One event: `audit/<seq, 12 digits>.json` below the tenant's prefix, in RFC 8785 form. */
export const AuditEvent = z.strictObject({
  version: z.literal(AUDIT_VERSION),
  tenant: TenantId,
  /** From 1, without a gap. */
  seq: Seq,
  /** SHA-256 of the bytes of the event before; `NO_EVENT` for the first. */
  previous: Sha256,
  at: z.iso.datetime(),
  /** Names what happened, so that a step that is taken again after a crash is recorded once. */
  id: z.string().min(1).max(256),
  action: z.string().regex(/^[a-z]+(?:\.[a-z-]+)+$/).max(64),
  /** Who: `operator`, or a pseudonym. Never a name or mail address. */
  actor: z.string().min(1).max(128),
  /** What it was done to, e.g. `Backup/shop/before-update`. */
  object: z.string().min(1).max(600),
  details: Details,
  key: PublicKey,
  signature: Signature,
});
export type AuditEvent = z.infer<typeof AuditEvent>;

/** Head checkpoint `audit/heads/<seq>.json`: that the trail had that event, and no fewer. Its copy in the second data center shows a cut tail. */
export const AuditHead = z.strictObject({
  version: z.literal(AUDIT_VERSION),
  tenant: TenantId,
  seq: Seq,
  /** SHA-256 of that event's bytes. */
  hash: Sha256,
  at: z.iso.datetime(),
  key: PublicKey,
  signature: Signature,
});
export type AuditHead = z.infer<typeof AuditHead>;

export function eventKey(seq: number): string {
  return `audit/${String(seq).padStart(SEQ_DIGITS, '0')}.json`;
}

export function headKey(seq: number): string {
  return `audit/heads/${String(seq).padStart(SEQ_DIGITS, '0')}.json`;
}

/** The bytes of an event and the hash by which the next one names it. */
export function signEvent(event: Omit<AuditEvent, 'version' | 'key' | 'signature'>, signer: AuditSigner): { readonly bytes: Uint8Array; readonly hash: string } {
  return signed({ ...event, version: AUDIT_VERSION }, AuditEvent, signer);
}

export function signHead(head: Omit<AuditHead, 'version' | 'key' | 'signature'>, signer: AuditSigner): Uint8Array {
  return signed({ ...head, version: AUDIT_VERSION }, AuditHead, signer).bytes;
}

function signed(value: object, schema: z.ZodType, signer: AuditSigner): { bytes: Uint8Array; hash: string } {
  const open = { ...value, key: signer.publicKey };
  const whole = { ...open, signature: signer.sign(canonicalJson(open)) };
  // A writer that its own reader would refuse must not get as far as the bucket.
  schema.parse(whole);
  const bytes = canonicalJson(whole);
  return { bytes, hash: hashOf(bytes) };
}

export function hashOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/**
 * Reads an event and refuses what is not in its one form, of an unknown version, or not signed by the key that it names.
 * Whether that key is to be trusted, and whether the event stands in its place, the caller judges.
 * @throws {AuditError} `AuditTampered`, `UnknownVersion`
 */
export function decodeEvent(bytes: Uint8Array, what: string): AuditEvent {
  return decode(AuditEvent, bytes, what);
}

/** The same for a head. */
export function decodeHead(bytes: Uint8Array, what: string): AuditHead {
  return decode(AuditHead, bytes, what);
}

function decode<T extends { readonly key: string; readonly signature: string }>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  let json: unknown;
  try {
    json = parseCanonicalJson(bytes);
  } catch (cause) {
    throw tampered(what, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const version = typeof json === 'object' && json !== null && 'version' in json ? json.version : undefined;
  if (typeof version === 'number' && version !== AUDIT_VERSION) {
    throw new AuditError('UnknownVersion', `${what} has version ${version}, and this program knows ${AUDIT_VERSION}; use a newer one`);
  }
  const read = schema.safeParse(json);
  if (!read.success) {
    const issue = read.error.issues[0];
    throw tampered(what, `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`, read.error);
  }
  const { signature, ...open } = read.data;
  if (!isSignedBy(read.data.key, canonicalJson(open), signature)) throw tampered(what, 'its signature does not fit its content');
  return read.data;
}

function tampered(what: string, reason: string, cause?: unknown): AuditError {
  return new AuditError('AuditTampered', `${what} is not as it was written: ${reason}; compare with the second data center (tenant-backup audit verify --replica URL), and find out who can write to the bucket`, {
    cause,
  });
}
