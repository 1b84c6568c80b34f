import type { TenantContext } from './tenant-context.ts';

/** Something that wraps keys: a KMS key of a cloud, or a key file. */
export interface KmsProvider {
  readonly provider: 'aws' | 'local';
  /** As it was given: an id, an ARN or an alias; never an endpoint. */
  readonly keyId: string;
  readonly region?: string;
  /** True for a KMS that wraps new keys here and is never asked to unwrap: its log of refusals then shows attacks and not us. */
  readonly wrapOnly?: boolean;

  /**
   * Encrypts a key under the context.
   * @throws {KeyError}
   */
  wrap(key: Uint8Array, context: TenantContext, signal?: AbortSignal): Promise<Wrapped>;

  /**
   * Decrypts what `wrap` made; the context must be the same to the byte. The caller wipes the result.
   * @param keyId that the wrapping names; the provider's own where it names none
   * @throws {KeyError} `WrongContext` when key, context or ciphertext do not belong together.
   */
  unwrap(ciphertext: Uint8Array, context: TenantContext, options?: UnwrapOptions): Promise<Uint8Array>;

  /** Releases sockets. */
  close(): void;
}

export interface Wrapped {
  readonly ciphertext: Uint8Array;
  /** Which key it was, as exactly as the provider says (an ARN rather than an alias). */
  readonly keyId: string;
}

export interface UnwrapOptions {
  readonly keyId?: string;
  readonly signal?: AbortSignal | undefined;
}
