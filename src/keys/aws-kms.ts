import type { KMSClient } from '@aws-sdk/client-kms';
import { RenewingCredentials, type HttpOptions, type S3CredentialProvider, type S3Credentials } from '../storage/index.ts';
import { awsKmsError } from './aws-kms-errors.ts';
import { KeyError } from './errors.ts';
import type { KmsProvider, UnwrapOptions, Wrapped } from './kms-provider.ts';
import type { TenantContext } from './tenant-context.ts';

/** The SDK's own tries, with its jittered pauses; a KMS call is small and may be repeated. */
const ATTEMPTS = 5;

export interface AwsKmsOptions extends HttpOptions {
  /** Id, ARN or `alias/…`. */
  readonly keyId: string;
  readonly region?: string;
  /** Any service that speaks the AWS KMS API; AWS's own of the region where absent. */
  readonly endpoint?: string;
  /** Where absent: the AWS SDK's chain (environment, profile, web identity, instance). */
  readonly credentials?: S3Credentials | S3CredentialProvider;
}

/** A key behind the AWS KMS API. The SDK is loaded with the first call. */
export function openAwsKms(options: AwsKmsOptions): KmsProvider {
  return new AwsKms(options);
}

class AwsKms implements KmsProvider {
  readonly provider = 'aws';
  readonly keyId: string;
  readonly region?: string;
  readonly #options: AwsKmsOptions;
  readonly #credentials: RenewingCredentials | undefined;
  #loading: Promise<Loaded> | undefined;
  #client: KMSClient | undefined;

  constructor(options: AwsKmsOptions) {
    this.keyId = options.keyId;
    if (options.region !== undefined) this.region = options.region;
    this.#options = options;
    this.#credentials = RenewingCredentials.of(options.credentials);
  }

  wrap(key: Uint8Array, context: TenantContext, signal?: AbortSignal): Promise<Wrapped> {
    return this.#call('wrapping a key', signal, async ({ client, sdk }, abort) => {
      const command = new sdk.EncryptCommand({ KeyId: this.keyId, Plaintext: key, EncryptionContext: { ...context } });
      const { CiphertextBlob, KeyId } = await client.send(command, abort);
      if (CiphertextBlob === undefined) throw this.#noAnswer();
      return { ciphertext: CiphertextBlob, keyId: KeyId ?? this.keyId };
    });
  }

  unwrap(ciphertext: Uint8Array, context: TenantContext, options: UnwrapOptions = {}): Promise<Uint8Array> {
    return this.#call('unwrapping a key', options.signal, async ({ client, sdk }, abort) => {
      const command = new sdk.DecryptCommand({
        CiphertextBlob: ciphertext,
        // Named, so that a ciphertext under a key of somebody else's is refused instead of decrypted.
        KeyId: options.keyId ?? this.keyId,
        EncryptionContext: { ...context },
      });
      const { Plaintext } = await client.send(command, abort);
      if (Plaintext === undefined) throw this.#noAnswer();
      return Plaintext;
    });
  }

  close(): void {
    this.#client?.destroy();
  }

  async #call<T>(doing: string, signal: AbortSignal | undefined, request: (loaded: Loaded, abort: { abortSignal?: AbortSignal }) => Promise<T>): Promise<T> {
    const abort = signal === undefined ? {} : { abortSignal: signal };
    for (let attempt = 1; ; attempt += 1) {
      if (signal?.aborted === true) throw new KeyError('Aborted', `${doing} was cancelled`, { cause: signal.reason });
      try {
        return await request(await this.#load(), abort);
      } catch (cause) {
        const error = awsKmsError(cause, { doing, keyId: this.keyId, endpoint: this.#options.endpoint ?? 'AWS' });
        // A session that ended in between: its renewed one may lie ready.
        const renew = error.code === 'ExpiredCredentials' && typeof this.#options.credentials === 'function' && attempt === 1;
        if (!renew) throw error;
        this.#credentials?.forget();
      }
    }
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#connect();
    return this.#loading;
  }

  async #connect(): Promise<Loaded> {
    const sdk = await import('@aws-sdk/client-kms');
    const { requestHandler } = await import('../storage/request-handler.ts');
    const { region, endpoint } = this.#options;
    const credentials = this.#credentials;
    const client = new sdk.KMSClient({
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials: () => credentials.forSdk() }),
      requestHandler: requestHandler(this.#options),
      maxAttempts: ATTEMPTS,
    });
    this.#client = client;
    return { sdk, client };
  }

  #noAnswer(): KeyError {
    return new KeyError('Unexpected', `the KMS answered for key ${this.keyId} without what was asked for; is the endpoint a KMS?`, { context: { keyId: this.keyId } });
  }
}

interface Loaded {
  readonly sdk: typeof import('@aws-sdk/client-kms');
  readonly client: KMSClient;
}
