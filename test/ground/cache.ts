// Where slow builds are kept between runs and checkouts. Every entry is a folder named after the thing and its version,
// and appears whole or not at all, so that two runs and a killed one cannot spoil each other.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$TENANT_BACKUP_CACHE`, else `tenant-backup` in the user's cache folder. */
export function cacheDirectory(): string {
  const { TENANT_BACKUP_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  return own ?? join(xdg ?? join(homedir(), '.cache'), 'tenant-backup');
}

/** Every file below a folder, in a stable order. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .sort();
}

/** Twelve hex digits that stand for the content of some files and words. */
export async function versionOf(files: readonly string[], ...words: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const word of words) hash.update(`${word}\n`);
  for (const file of files) hash.update(await readFile(file));
  return hash.digest('hex').slice(0, 12);
}

/**
 * The folder of one cache entry, made by `make` when it is not there yet.
 *
 * @param relocatable - whether the entry may be built beside its place and moved in; a Python environment may not, and
 *   is marked as finished by a file instead.
 */
export async function cached(name: string, make: (folder: string) => Promise<void>, relocatable = true): Promise<string> {
  const place = join(cacheDirectory(), name);
  const finished = relocatable ? place : join(place, '.finished');
  if (existsSync(finished)) return place;
  if (!relocatable) {
    await rm(place, { recursive: true, force: true });
    await mkdir(place, { recursive: true });
    await make(place);
    await mkdir(finished);
    return place;
  }
  const draft = `${place}.${randomBytes(4).toString('hex')}.tmp`;
  await mkdir(draft, { recursive: true });
  try {
    await make(draft);
    await rename(draft, place).catch((error: unknown) => {
      if (!existsSync(place)) throw error; // Another run was faster: its entry is as good.
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return place;
}
