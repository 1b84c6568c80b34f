import * as z from 'zod';
import { TenantRecord } from '../api/index.ts';
import { canonicalJson, parseCanonicalJson } from '../storage/index.ts';
import { hashOf } from './event.ts';
import { isSignedBy, type AuditSigner } from './signer.ts';

/** A record as it lies in the bucket: with the public key of the installation that wrote it, and a signature over everything else (`docs/layout.md`). */
const Sealed = TenantRecord.extend({ key: z.string(), signature: z.string() });

export interface OpenedRecord {
  readonly record: TenantRecord;
  /** Whose seal fits, base64; `undefined` for a record without one, or with one that does not. */
  readonly sealedBy: string | undefined;
  /** SHA-256 of the bytes, in hex: by it a person names the record that he has looked at. */
  readonly digest: string;
}

export function sealRecord(record: TenantRecord, signer: AuditSigner): Uint8Array {
  const open = { ...record, key: signer.publicKey };
  return canonicalJson({ ...open, signature: signer.sign(canonicalJson(open)) });
}

/** @returns `undefined` for what is no record */
export function openRecord(bytes: Uint8Array): OpenedRecord | undefined {
  const json = parsed(bytes);
  const record = TenantRecord.safeParse(json);
  if (!record.success) return undefined;
  return { record: record.data, sealedBy: sealOf(json), digest: hashOf(bytes) };
}

function sealOf(json: unknown): string | undefined {
  const sealed = Sealed.safeParse(json);
  if (!sealed.success || typeof json !== 'object' || json === null) return undefined;
  // Over what lies there, not over what the schema knows of it.
  const open = Object.fromEntries(Object.entries(json).filter(([name]) => name !== 'signature'));
  return isSignedBy(sealed.data.key, canonicalJson(open), sealed.data.signature) ? sealed.data.key : undefined;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseCanonicalJson(bytes);
  } catch {
    return undefined;
  }
}
