import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CREDENTIALS_FILE, MoverCredentials } from '../api/index.ts';
import type { S3Credentials } from '../storage/index.ts';
import { MoverError } from './errors.ts';

export interface CredentialsFileOptions {
  readonly directory: string;
  /** Name of the file in it; `credentials.json` where absent. */
  readonly file?: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Told when the credentials have ended and new ones are waited for. */
  readonly onWaiting: (message: string) => void;
  /** How long to wait for the kubelet to bring renewed credentials, milliseconds; it may take a minute and a half. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 180_000;
const POLL_MS = 1000;

/**
 * The mounted file with the mover's credentials. It is read anew each time somebody asks, because the operator renews the
 * sessions in it while the mover works. Nothing of it is kept here.
 */
export class CredentialsFile {
  readonly #path: string;
  readonly #options: CredentialsFileOptions;

  constructor(options: CredentialsFileOptions) {
    this.#path = join(options.directory, options.file ?? CREDENTIALS_FILE);
    this.#options = options;
  }

  /** @throws {MoverError} `BadCredentialsFile`, `UnknownVersion`. The message never quotes the file. */
  async read(): Promise<MoverCredentials> {
    let json: unknown;
    try {
      json = JSON.parse(await readFile(this.#path, 'utf8'));
    } catch {
      // The parser's own error quotes the text, which is secret: it goes no further.
      throw bad(`${this.#path} cannot be read as JSON; is the Secret of this Job mounted there?`);
    }
    const read = MoverCredentials.safeParse(json);
    if (read.success) return read.data;
    throw bad(`${this.#path}: ${read.error.issues[0]?.path.map(String).join('.') ?? ''} is not as expected; run movers and operator from the same image`);
  }

  /** Credentials for S3; waits for renewed ones where those in the file have ended. */
  s3(): Promise<S3Credentials> {
    return this.#fresh((file) => file.s3);
  }

  /** Credentials for the KMS of that name in the orders. */
  kms(name: string): Promise<S3Credentials> {
    return this.#fresh((file) => {
      const found = file.kms[name];
      if (found === undefined || 'key' in found) throw bad(`${this.#path} holds no credentials for the KMS "${name}"`);
      return found;
    });
  }

  /** The key of a `local` KMS, 32 bytes. The caller wipes it. */
  async localKey(name: string): Promise<Uint8Array> {
    const found = (await this.read()).kms[name];
    if (found === undefined || !('key' in found)) throw bad(`${this.#path} holds no key for the local KMS "${name}"`);
    return Buffer.from(found.key, 'base64');
  }

  async #fresh(pick: (file: MoverCredentials) => MoverCredentials['s3']): Promise<S3Credentials> {
    const { now, signal, onWaiting } = this.#options;
    const deadline = now() + (this.#options.patienceMs ?? PATIENCE_MS);
    for (;;) {
      const { accessKeyId, secretAccessKey, sessionToken, expiration } = pick(await this.read());
      const ends = expiration === undefined ? undefined : new Date(expiration);
      if (ends === undefined || ends.getTime() > now()) {
        return {
          accessKeyId,
          secretAccessKey,
          ...(sessionToken === undefined ? {} : { sessionToken }),
          ...(ends === undefined ? {} : { expiration: ends }),
        };
      }
      if (now() >= deadline) {
        throw new MoverError('CredentialsNotRenewed', `the session in ${this.#path} ended at ${ends.toISOString()} and was not renewed; does the operator run, and is its STS reachable?`, { retryable: true });
      }
      onWaiting(`the session ended at ${ends.toISOString()}; waiting for a renewed one`);
      await sleep(POLL_MS, undefined, { signal });
    }
  }
}

function bad(message: string): MoverError {
  return new MoverError('BadCredentialsFile', message, { retryable: false });
}
