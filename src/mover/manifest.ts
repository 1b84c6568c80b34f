import { timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { EngineError } from '../restic/errors.ts';
import { canonicalJson, compareKeys, parseCanonicalJson } from '../storage/index.ts';

export const MANIFEST_VERSION = 1;

/** For repositories that the command line made without a KMS: they belong to no tenant. */
export const NO_TENANT = '0'.repeat(32);

/** Makes the MAC of canonical JSON under the repository's own key: `engine.manifestMac`. */
export type ManifestMac = (canonicalJson: Uint8Array) => Uint8Array;

const Id = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits are due');

/** Everything that one snapshot may need, by its key below `g<generation>/`. Nothing else is copied or exported. */
const FILE_NAME =
  /^(?:config|keys\/[0-9a-f]{64}|wrappings\/[0-9a-f]{64}\.json|snapshots\/[0-9a-f]{64}|exports\/[0-9a-f]{64}|index\/[0-9a-f]{64}|data\/([0-9a-f]{2})\/\1[0-9a-f]{62})$/;

export const ManifestFile = z.strictObject({
  name: z.string().regex(FILE_NAME, 'this is no file of a repository'),
  /** bytes */
  size: z.int().min(0),
  /** Of an `index/` file: the snapshot needs every pack that it names, so the downloaded file takes it as it is. */
  exported: z.literal(true).optional(),
  /** Of an `exports/` file: the `index/` file whose place it takes, for it lists only those of its packs that the snapshot needs. */
  of: Id.optional(),
});
export type ManifestFile = z.infer<typeof ManifestFile>;

/** What one snapshot needs (`layout.md`, "Manifest"), for readers without a key. */
export const Manifest = z
  .strictObject({
    version: z.literal(MANIFEST_VERSION),
    rev: z.int().min(1),
    tenant: z.string().regex(/^[0-9a-f]{32}$/, '32 lower-case hex digits are due'),
    generation: z.int().min(1),
    snapshot: Id,
    createdAt: z.iso.datetime(),
    complete: z.boolean(),
    expires: z.iso.datetime().optional(),
    /** Sorted by name, each once. */
    files: z.array(ManifestFile),
    mac: Id,
  })
  .superRefine((manifest, issues) => {
    const problem = fileListProblem(manifest.files, manifest.snapshot);
    if (problem !== undefined) issues.addIssue({ code: 'custom', path: ['files'], message: problem });
  });
export type Manifest = z.infer<typeof Manifest>;

/** A manifest's say without its seal. */
export type ManifestContent = Omit<Manifest, 'version' | 'mac'>;

/** Seals and encodes. Files are sorted here. */
export function sealManifest(content: ManifestContent, mac: ManifestMac): { readonly manifest: Manifest; readonly bytes: Uint8Array } {
  const files = content.files.toSorted((a, b) => compareKeys(a.name, b.name));
  const problem = fileListProblem(files, content.snapshot);
  if (problem !== undefined) throw new TypeError(`a manifest that nobody would accept: ${problem}`);
  const unsealed = { version: MANIFEST_VERSION, ...content, files } as const;
  const manifest = { ...unsealed, mac: Buffer.from(mac(canonicalJson(unsealed))).toString('hex') };
  return { manifest, bytes: canonicalJson(manifest) };
}

/** True when the manifest was sealed with the repository's key. */
export function isSealed(manifest: Manifest, mac: ManifestMac): boolean {
  const { mac: given, ...unsealed } = manifest;
  const due = Buffer.from(mac(canonicalJson(unsealed)));
  const bytes = Buffer.from(given, 'hex');
  return due.byteLength === bytes.byteLength && timingSafeEqual(due, bytes);
}

/**
 * Reads a manifest's bytes; the MAC is the caller's to check.
 * @param what names it in errors, e.g. its key
 * @throws {EngineError} `Damaged`, `UnknownVersion`.
 */
export function decodeManifest(bytes: Uint8Array, what: string): Manifest {
  let json: unknown;
  try {
    json = parseCanonicalJson(bytes);
  } catch (cause) {
    throw damaged(what, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const version = typeof json === 'object' && json !== null && 'version' in json ? json.version : undefined;
  if (typeof version === 'number' && version !== MANIFEST_VERSION) {
    throw new EngineError('UnknownVersion', `the manifest ${what} has version ${version}, and this program knows ${MANIFEST_VERSION}; use a newer one`);
  }
  const read = Manifest.safeParse(json);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw damaged(what, `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`, read.error);
}

/** True for what becomes an index file of the downloaded file: together they list every blob of each pack of the snapshot, and of no other pack. */
export function isExportedIndex({ name, exported }: ManifestFile): boolean {
  return name.startsWith('exports/') || exported === true;
}

function fileListProblem(files: readonly ManifestFile[], snapshot: string): string | undefined {
  for (const [index, { name, exported, of }] of files.entries()) {
    const before = files[index - 1]?.name;
    if (before !== undefined && compareKeys(before, name) >= 0) return `${name} is named twice or out of order`;
    if (exported !== undefined && !name.startsWith('index/')) return `${name} is no index file that could be exported`;
    if (of !== undefined && !name.startsWith('exports/')) return `${name} is no export that could stand for an index file`;
  }
  const count = (folder: string): number => files.filter(({ name }) => name.startsWith(folder)).length;
  if (files.every(({ name }) => name !== 'config')) return 'config is not named';
  if (count('keys/') === 0) return 'no key file is named';
  if (!files.some(isExportedIndex)) return 'no index file for the downloaded file is named';
  if (count('snapshots/') !== 1 || files.every(({ name }) => name !== `snapshots/${snapshot}`)) return 'its own snapshot, and no other, must be named';
  return undefined;
}

function damaged(what: string, reason: string, cause?: unknown): EngineError {
  return new EngineError('Damaged', `the manifest ${what} is damaged: ${reason}. Run export with the key given: it then writes a new revision first`, { cause });
}
