import { hash } from 'node:crypto';
import { link, lstat, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from './file-errors.ts';
import { TEMPORARY_PREFIX } from './file-listing.ts';

/** Whoever holds a claim needs it for two system calls; an older one was left by a program that was killed. */
const CLAIM_STALE_MS = 60_000;
const CLAIM_PAUSE_MS = 50;
const CLAIM_TRIES = 100;

/** Gives a finished file its name in the same directory. @throws a system error, `EEXIST` where the name is taken */
export async function nameNewFile(temporary: string, path: string): Promise<void> {
  try {
    // link() refuses an existing name in one step; rename() would replace it.
    await link(temporary, path);
  } catch (error) {
    // File systems without hard links (vfat, many network shares and FUSE) say it in as many ways.
    if (!isErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK')) throw error;
    await renameUnderClaim(temporary, path);
    return;
  }
  await unlink(temporary);
}

/** The same without a hard link: a file beside keeps all who do alike from the name, between looking whether it is taken and taking it. */
export async function renameUnderClaim(temporary: string, path: string): Promise<void> {
  const claim = join(dirname(path), TEMPORARY_PREFIX + hash('sha256', basename(path), 'base64url').slice(0, 12));
  await takeClaim(claim);
  try {
    if (await exists(path)) throw systemError('EEXIST', `the name is taken: ${path}`);
    await rename(temporary, path);
  } finally {
    await unlink(claim).catch(() => undefined);
  }
}

async function takeClaim(claim: string): Promise<void> {
  for (let tries = 0; tries < CLAIM_TRIES; tries += 1) {
    try {
      await (await open(claim, 'wx', 0o600)).close();
      return;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    const since = await lstat(claim).then(({ mtimeMs }) => mtimeMs, () => undefined);
    if (since !== undefined && Date.now() - since > CLAIM_STALE_MS) await unlink(claim).catch(() => undefined);
    else await delay(CLAIM_PAUSE_MS);
  }
  throw systemError('EBUSY', `somebody else is writing what ${claim} stands for`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
