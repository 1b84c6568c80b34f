import type { S3CredentialProvider, S3Credentials } from './s3/connection.ts';

/** Ask anew this long before the end, so that a request that waits for a socket is still signed with live credentials. */
const EARLY_MS = 60_000;
/** Makes the SDK ask for each request; what is kept is kept here. */
const ALWAYS_EXPIRED = new Date(0);

/**
 * Keeps what a provider gave until shortly before it expires, or until the service has refused it. The SDK's own memory
 * would never ask again for credentials without an expiry, yet a Secret's file changes under a mover.
 */
export class RenewingCredentials {
  readonly #provider: S3CredentialProvider;
  readonly #now: () => number;
  #current: Promise<S3Credentials> | undefined;
  #endsAt = Infinity;

  constructor(provider: S3CredentialProvider, now: () => number = Date.now) {
    this.#provider = provider;
    this.#now = now;
  }

  /** `undefined` for none: the SDK then looks for itself. */
  static of(given: S3Credentials | S3CredentialProvider | undefined): RenewingCredentials | undefined {
    if (given === undefined) return undefined;
    return new RenewingCredentials(typeof given === 'function' ? given : () => Promise.resolve(given));
  }

  /** As the SDK's own `credentials` option wants them. */
  async forSdk(): Promise<S3Credentials> {
    return { ...(await this.get()), expiration: ALWAYS_EXPIRED };
  }

  async get(): Promise<S3Credentials> {
    if (this.#current !== undefined && this.#now() < this.#endsAt) return this.#current;
    this.#endsAt = Infinity;
    const asked = this.#provider();
    this.#current = asked;
    try {
      const credentials = await asked;
      this.#endsAt = (credentials.expiration?.getTime() ?? Infinity) - EARLY_MS;
      return credentials;
    } catch (error) {
      if (this.#current === asked) this.#current = undefined;
      throw error;
    }
  }

  /** The service has refused them: the next request asks the provider. */
  forget(): void {
    this.#current = undefined;
  }
}
