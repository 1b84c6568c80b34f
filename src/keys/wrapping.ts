import { hash } from 'node:crypto';
import * as z from 'zod';
import { canonicalJson, parseCanonicalJson } from '../storage/index.ts';
import { KeyError } from './errors.ts';
import { tenantContext } from './tenant-context.ts';

export const WRAPPING_VERSION = 1;

const TenantId = z.string().regex(/^[0-9a-f]{32}$/, 'a tenant id has 32 lower-case hex digits');
const Generation = z.int().min(1);

/** A wrapped secret key, as `layout.md` has it ("Wrapping"): one file for each KMS key. */
export const Wrapping = z.strictObject({
  version: z.literal(WRAPPING_VERSION),
  tenant: TenantId,
  generation: Generation,
  createdAt: z.iso.datetime(),
  provider: z.enum(['aws', 'local']),
  /** An ARN or id, never an endpoint. */
  keyId: z.string().min(1).max(2048),
  /** Absent for a local key. */
  region: z.string().min(1).max(64).optional(),
  context: z.strictObject({ 'tenant-backup/tenant': z.string(), 'tenant-backup/generation': z.string() }),
  /** base64 */
  ciphertext: z.base64().min(1).max(8192),
});
export type Wrapping = z.infer<typeof Wrapping>;

/** The marker `wrappings/first.json`: names the wrappings that the winner of a generation's first moment made. */
export const FirstWrappings = z.strictObject({
  version: z.literal(WRAPPING_VERSION),
  tenant: TenantId,
  generation: Generation,
  wrappings: z.array(z.string().regex(/^[0-9a-f]{64}$/)).min(1).max(16),
});
export type FirstWrappings = z.infer<typeof FirstWrappings>;

/** A wrapping's bytes and the SHA-256 that names them. */
export function encodeWrapping(wrapping: Wrapping): { readonly name: string; readonly bytes: Uint8Array } {
  const bytes = canonicalJson(wrapping);
  return { name: hash('sha256', bytes, 'hex'), bytes };
}

/**
 * Reads a wrapping and refuses what is not as named, not in the one form, of an unknown version, or not consistent with itself.
 * @param name the SHA-256 in its file name
 * @throws {KeyError} `Damaged`, `UnknownVersion`.
 */
export function decodeWrapping(name: string, bytes: Uint8Array): Wrapping {
  const what = `the wrapped key ${name}`;
  if (hash('sha256', bytes, 'hex') !== name) throw damaged(what, 'its content does not have the SHA-256 that its name says');
  const wrapping = decode(Wrapping, bytes, what);
  const expected = tenantContext(wrapping.tenant, wrapping.generation);
  const fits = Object.entries(expected).every(([key, value]) => wrapping.context[key === 'tenant-backup/tenant' ? key : 'tenant-backup/generation'] === value);
  if (!fits) throw damaged(what, 'its encryption context names another tenant or generation than it does itself');
  return wrapping;
}

/** @throws {KeyError} `Damaged`, `UnknownVersion`. */
export function decodeFirstWrappings(bytes: Uint8Array): FirstWrappings {
  return decode(FirstWrappings, bytes, 'wrappings/first.json');
}

function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  let json: unknown;
  try {
    json = parseCanonicalJson(bytes);
  } catch (cause) {
    throw damaged(what, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const version = typeof json === 'object' && json !== null && 'version' in json ? json.version : undefined;
  if (typeof version === 'number' && version !== WRAPPING_VERSION) {
    throw new KeyError('UnknownVersion', `${what} has version ${version}, and this program knows ${WRAPPING_VERSION}; use a newer one`);
  }
  const read = schema.safeParse(json);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw damaged(what, `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`, read.error);
}

function damaged(what: string, reason: string, cause?: unknown): KeyError {
  return new KeyError('Damaged', `${what} is damaged: ${reason}; fetch it from the second data center or from a downloaded backup`, { cause });
}
