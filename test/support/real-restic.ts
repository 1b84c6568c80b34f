import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The password of every test repository; no secret. */
export const testPassword = 'a password of tests, no secret';

/** restic itself, whatever version is on PATH (`apt-get install restic`), on a repository in a directory. */
export class RealRestic {
  readonly repository: string;
  readonly #passwordFile: string;
  readonly #cache: string;

  constructor(repository: string, scratch: string) {
    this.repository = repository;
    this.#passwordFile = join(scratch, 'password');
    this.#cache = join(scratch, 'cache');
    writeFileSync(this.#passwordFile, testPassword);
  }

  /** @returns stdout; throws with stderr when it exits other than 0 */
  async run(args: readonly string[], cwd?: string): Promise<string> {
    const all = ['-r', this.repository, '--password-file', this.#passwordFile, '--cache-dir', this.#cache, ...args];
    const { stdout } = await run('restic', all, { maxBuffer: 64 * 1024 * 1024, ...(cwd === undefined ? {} : { cwd }) });
    return stdout;
  }
}

/** A directory of its own for a test, and its removal. */
export function scratchDirectory(): { readonly path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'tenant-backup-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
