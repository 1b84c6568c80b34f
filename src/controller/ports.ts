/**
 * What controllers need of S3, STS and KMS. The interfaces are here, the implementations in `cmd/wiring`, so that the control
 * strand imports neither storage nor keys (design.md, "Ports").
 */
import type { BackupLocation, MoverCredentials } from '../api/index.ts';

/** Data of the Secrets of the operator's namespace that a location names, by Secret name, decoded. */
export type LocationSecrets = ReadonlyMap<string, Readonly<Record<string, Uint8Array>>>;

/** One thing that was tried at a location. */
export type ProbeAnswer =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** CamelCase, becomes the condition's reason, e.g. `BadCredentials`, `BucketMissing`, `KmsAccessDenied`, `SecretMissing`. */
      readonly reason: string;
      /** What happened, to what, and what to do next. Never holds a credential. */
      readonly message: string;
    };

export interface KeyProbe {
  /** A data key was wrapped under the tenant-less context of the probe. */
  readonly wrap: ProbeAnswer;
  /** Whether the operator's own principal could unwrap it, which it should not. `undefined` when that could not be told. */
  readonly operatorCanUnwrap: boolean | undefined;
}

export interface LocationReport {
  readonly reachable: ProbeAnswer;
  /** Put, get and delete of an object under `<prefix>/probe/`; `undefined` when not reachable. */
  readonly writable: ProbeAnswer | undefined;
  readonly key: KeyProbe;
  /** `undefined` without `spec.replica`. */
  readonly replicaKey: KeyProbe | undefined;
  /** `disabled` by spec; `absent` when the endpoint has none. */
  readonly sts: { readonly state: 'works' | 'disabled' } | { readonly state: 'absent' | 'failed'; readonly message: string };
}

export interface LocationProbe {
  /** Tries storage and keys. Never throws for what is wrong with the location: that is in the report. */
  probe(location: BackupLocation, secrets: LocationSecrets, signal: AbortSignal): Promise<LocationReport>;
  /**
   * Puts `<prefix>/location.json` if it is absent (layout.md).
   * @returns why it is unusable: written by a later version.
   */
  claim(location: BackupLocation, secrets: LocationSecrets, signal: AbortSignal): Promise<ProbeAnswer>;
}

export interface SessionMinter {
  /**
   * Credentials for one mover: an S3 session confined to the tenant's prefix where STS is there, else the location's own.
   * KMS entries are those that the orders name.
   * @throws {PortError}
   */
  mint(request: {
    readonly location: BackupLocation;
    readonly secrets: LocationSecrets;
    readonly tenantId: string;
    /** Shown in the S3 service's own log: the attempt's name. */
    readonly sessionName: string;
    readonly signal: AbortSignal;
  }): Promise<MintedCredentials>;
}

export interface MintedCredentials {
  readonly credentials: MoverCredentials;
  /** RFC 3339; undefined when nothing in it expires. */
  readonly expiresAt: string | undefined;
  /** False: the S3 credentials reach every tenant of the location. */
  readonly confined: boolean;
}

export interface ResultReader {
  /**
   * The result that a mover left at `key` (see `resultKey`), relative to the tenant's prefix; undefined when there is none.
   * @returns parsed JSON, unchecked.
   * @throws {PortError}
   */
  read(request: {
    readonly location: BackupLocation;
    readonly secrets: LocationSecrets;
    readonly tenantId: string;
    readonly key: string;
    readonly signal: AbortSignal;
  }): Promise<unknown>;
}

/** Random bytes, so that tests can fix them. */
export interface Randomness {
  /** Lower-case hex of `bytes` random bytes. */
  hex(bytes: number): string;
  /** A number in [0, 1). */
  fraction(): number;
}

/** Storage, STS or KMS did not do what was asked. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { readonly retryable: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable;
  }
}
