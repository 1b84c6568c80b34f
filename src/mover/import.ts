import { open, type FileHandle } from 'node:fs/promises';
import { decodeWrapping } from '../keys/index.ts';
import { EngineError } from '../restic/errors.ts';
import { firstKey, type ObjectStore } from '../storage/index.ts';
import { hasPromisedContent, promisedHash } from './content-name.ts';
import { inParallel } from './in-parallel.ts';
import { planImport, refused, type ImportPlan } from './import-plan.ts';
import { indexTar, readExactly, type TarMember } from './tar/index-of-tar.ts';

/** Files that are read and stored at a time. */
const PARALLEL_PUTS = 4;

export interface ImportProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface ImportRequest {
  /** A file that `export` made. */
  readonly input: string;
  /** Empty: what is imported is never merged with anything (design.md, invariant 10). */
  readonly store: ObjectStore;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: ImportProgress) => void;
}

export interface ImportOutcome {
  readonly snapshot: string;
  readonly files: number;
  /** bytes */
  readonly size: number;
  /** Whose key opens it, as its wrappings say; absent where it has none. Whoever holds a released key can forge the rest. */
  readonly owner?: { readonly tenant: string; readonly generation: number };
}

/**
 * Checks a downloaded file and lays it into an empty store as a repository of its own. The names, sizes and structure are checked
 * before the first byte is stored, each content before it is; when anything is wrong nothing is left behind.
 * @throws {EngineError} `Damaged`, `AlreadyInitialized` when the store is not empty, `SourceMissing`.
 */
export async function importFile(request: ImportRequest): Promise<ImportOutcome> {
  const { input, store, signal } = request;
  const file = await openInput(input);
  try {
    const plan = planImport(await membersOf(file, signal));
    const owner = await ownerOf(file, plan);
    await refuseOccupied(store, signal);
    await storeAll(file, plan, request);
    return { snapshot: plan.snapshot, files: plan.members.length, size: plan.size, ...(owner === undefined ? {} : { owner }) };
  } finally {
    await file.close();
  }
}

async function openInput(input: string): Promise<FileHandle> {
  try {
    const file = await open(input, 'r');
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    throw new EngineError('SourceMissing', `${input} cannot be read; check its name and mode`, { cause });
  }
  throw new EngineError('SourceMissing', `${input} is not a file; name the file that was downloaded`);
}

async function membersOf(file: FileHandle, signal: AbortSignal | undefined): Promise<TarMember[]> {
  try {
    return await indexTar(file, signal);
  } catch (cause) {
    if (signal?.aborted === true) throw new EngineError('Aborted', 'the import was cancelled; nothing was stored', { cause });
    throw refused(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** Every wrapping must read as one, and all must be of one tenant and generation. */
async function ownerOf(file: FileHandle, plan: ImportPlan): Promise<ImportOutcome['owner']> {
  let owner: ImportOutcome['owner'];
  for (const member of plan.members.filter(({ name }) => name.startsWith('wrappings/'))) {
    const { tenant, generation } = readWrapping(member.name, await contentOf(file, member));
    if (owner !== undefined && (owner.tenant !== tenant || owner.generation !== generation)) {
      throw refused('its wrapped keys belong to different tenants');
    }
    owner = { tenant, generation };
  }
  return owner;
}

function readWrapping(name: string, bytes: Uint8Array): { tenant: string; generation: number } {
  try {
    return decodeWrapping(promisedHash(name) ?? '', bytes);
  } catch (cause) {
    throw refused(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

async function refuseOccupied(store: ObjectStore, signal: AbortSignal | undefined): Promise<void> {
  const key = await firstKey(store, '', { signal });
  if (key !== undefined) throw new EngineError('AlreadyInitialized', `${store.location} is not empty (${key}); an imported file needs a place of its own`);
}

async function storeAll(file: FileHandle, plan: ImportPlan, { store, signal, onProgress }: ImportRequest): Promise<void> {
  const stored: string[] = [];
  let bytesDone = 0;
  const storeOne = async (member: TarMember): Promise<void> => {
    const bytes = await contentOf(file, member);
    const promised = promisedHash(member.name);
    // Noted before it is put: a put that fails half-way must be cleaned up, too.
    stored.push(member.name);
    await store.put(member.name, bytes, { ifAbsent: true, signal, ...(promised === undefined ? {} : { sha256: Buffer.from(promised, 'hex') }) });
    bytesDone += bytes.byteLength;
    onProgress?.({ bytesDone, bytesTotal: plan.size });
  };
  try {
    await inParallel(plan.members.slice(0, -1), PARALLEL_PUTS, storeOne);
    const config = plan.members.at(-1);
    if (config !== undefined) await storeOne(config);
  } catch (error) {
    await store.deleteMany(stored);
    throw error;
  }
}

/** A member's bytes, if they are those that its name promises. */
async function contentOf(file: FileHandle, { name, offset, size }: TarMember): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readExactly(file, offset, size, offset + size);
  } catch (cause) {
    throw refused(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (!hasPromisedContent(name, bytes)) throw refused(`${name} in it does not have the SHA-256 that its name says`);
  return bytes;
}
