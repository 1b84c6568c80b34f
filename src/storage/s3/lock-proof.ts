import { randomUUID } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { describeFailure } from '../network-failures.ts';
import type { Retention } from '../object-store.ts';
import type { S3Address } from '../store-url.ts';
import { createS3Client } from './client.ts';
import type { S3Connection, S3Credentials } from './connection.ts';
import { s3Error } from './errors.ts';
import { retentionFields } from './retention.ts';

export interface LockProofRequest {
  readonly address: S3Address;
  /** Of the principal that puts copies there. */
  readonly connection: S3Connection;
  /** Of one that may delete versions below `probe/`: it tries to. */
  readonly prober: S3Credentials;
  readonly mode: Retention['mode'];
  readonly now: number;
  readonly signal?: AbortSignal;
}

/** `unknown`: it could not be tried now, which says nothing of the bucket. */
export type LockProof =
  | { readonly kind: 'proven'; readonly warning?: string }
  | { readonly kind: 'refuted'; readonly reason: string; readonly message: string }
  | { readonly kind: 'unknown'; readonly reason: string; readonly message: string };

export type LockProofErrorCode = 'VersioningOff' | 'ObjectLockOff' | 'DefaultRetention' | 'LockNotApplied' | 'LockShortened' | 'NotImmutable' | 'ProbePowerless';

/** How long a probe is under its lock: longer than clocks differ. */
const RETAIN_MS = 5 * 60_000;
/** Probes older than this are removed by the next ones. */
const KEEP_MS = 60 * 60_000;
const BODY = 'tenant-backup';
/** Answers that say no, whichever service gives them; anything else says nothing. */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 405, 409]);

/**
 * Tries whether a version under a lock can be deleted. A refusal alone proves nothing, for the principal that tries may have no right to delete at
 * all: so the same one must succeed on a version without a lock. What a service says of itself is not believed but looked at: MinIO refuses with
 * AccessDenied and words of its own, the Versity gateway with others, and some take a lock without a word and forget it (kopia #3253).
 */
export async function proveObjectLock(request: LockProofRequest): Promise<LockProof> {
  const { address, connection } = request;
  const merged = { ...connection, ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }), ...(address.region === undefined ? {} : { region: address.region }) };
  const writer = createS3Client({ ...merged, pathStyle: address.pathStyle });
  const prober = createS3Client({ ...merged, credentials: request.prober, pathStyle: address.pathStyle });
  const proof = new Proof(request, writer.client, prober.client);
  try {
    return await proof.run();
  } catch (error) {
    const words = s3Error(error, { doing: 'proving the Object Lock', bucket: address.bucket, endpoint: merged.endpoint ?? 'AWS' });
    return { kind: words.retryable || words.code === 'Aborted' ? 'unknown' : 'refuted', reason: words.code, message: words.message };
  } finally {
    writer.client.destroy();
    prober.client.destroy();
  }
}

interface Version {
  readonly Bucket: string;
  readonly Key: string;
  readonly VersionId: string;
}

class Proof {
  readonly #request: LockProofRequest;
  readonly #writer: S3Client;
  readonly #prober: S3Client;
  readonly #options: { readonly abortSignal?: AbortSignal };

  constructor(request: LockProofRequest, writer: S3Client, prober: S3Client) {
    this.#request = request;
    this.#writer = writer;
    this.#prober = prober;
    this.#options = request.signal === undefined ? {} : { abortSignal: request.signal };
  }

  async run(): Promise<LockProof> {
    const settings = await this.#settings();
    if (settings !== undefined) return settings;
    const until = new Date(this.#request.now + RETAIN_MS);
    const locked = await this.#put({ mode: this.#request.mode, until });
    if (typeof locked === 'string') return this.#refuted('VersioningOff', `the bucket gives objects no versions (${locked}). Turn versioning on, with Object Lock.`);
    const applied = await this.#applied(locked, until);
    if (applied !== undefined) return applied;
    const free = await this.#put();
    if (typeof free === 'string') return this.#refuted('VersioningOff', `the bucket gives objects no versions (${free}). Turn versioning on, with Object Lock.`);
    const writerDeletes = !(await this.#isRefused(this.#writer, free));
    if (writerDeletes) {
      // It is gone, so that the prober's right needs another one.
      const other = await this.#put();
      if (typeof other !== 'string' && (await this.#isRefused(this.#prober, other))) return this.#powerless();
    } else if (await this.#isRefused(this.#prober, free)) return this.#powerless();
    const lost = await this.#tryToDestroy(locked);
    if (lost !== undefined) return lost;
    await this.#tidy();
    return writerDeletes ? { kind: 'proven', warning: 'The principal that puts copies may also delete versions whose lock has ended; take that right from it (s3:DeleteObject, s3:DeleteObjectVersion).' } : { kind: 'proven' };
  }

  /** What the service says of the bucket. Who may not ask is told nothing, and the rest of the proof decides. */
  async #settings(): Promise<LockProof | undefined> {
    const Bucket = this.#request.address.bucket;
    try {
      const { Status } = await this.#writer.send(new GetBucketVersioningCommand({ Bucket }), this.#options);
      if (Status !== 'Enabled') return this.#refuted('VersioningOff', `versioning of the bucket is ${Status === undefined ? 'off' : Status.toLowerCase()}. Turn it on, with Object Lock.`);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    try {
      const { ObjectLockConfiguration: lock } = await this.#writer.send(new GetObjectLockConfigurationCommand({ Bucket }), this.#options);
      if (lock?.ObjectLockEnabled !== 'Enabled') return this.#lockOff();
      if (lock.Rule?.DefaultRetention !== undefined) {
        return this.#refuted('DefaultRetention', 'the bucket has a default retention, which would keep what must go, such as probes. Remove it: every object of the copy is put with its own.');
      }
    } catch (error) {
      if (describeFailure(error).name === 'ObjectLockConfigurationNotFoundError') return this.#lockOff();
      if (!isRefusal(error)) throw error;
    }
    return undefined;
  }

  /** @returns the version, or what came in place of its id */
  async #put(retention?: Retention): Promise<Version | string> {
    const { address } = this.#request;
    const at = { Bucket: address.bucket, Key: `${address.prefix}probe/${randomUUID()}` };
    const lock = retention === undefined ? {} : { ...retentionFields(retention), ChecksumAlgorithm: 'SHA256' as const };
    const { VersionId } = await this.#writer.send(new PutObjectCommand({ ...at, Body: BODY, ...lock }), this.#options);
    return VersionId === undefined || VersionId === 'null' ? (VersionId ?? 'none') : { ...at, VersionId };
  }

  async #applied(version: Version, until: Date): Promise<LockProof | undefined> {
    const { Retention: retention } = await this.#writer.send(new GetObjectRetentionCommand(version), this.#options);
    const isThere = retention?.Mode === this.#request.mode && (retention.RetainUntilDate?.getTime() ?? 0) >= until.getTime() - 1000;
    if (isThere) return undefined;
    const told = retention?.Mode === undefined ? 'no lock' : `a lock in mode ${retention.Mode} until ${retention.RetainUntilDate?.toISOString() ?? 'no time'}`;
    return this.#refuted('LockNotApplied', `the service took an object with a lock in mode ${this.#request.mode} and then has it with ${told}. Use a service that keeps locks.`);
  }

  async #tryToDestroy(version: Version): Promise<LockProof | undefined> {
    const [Mode, sooner] = [this.#request.mode, new Date(this.#request.now + RETAIN_MS / 2)];
    if (!(await this.#isRefusedBy(() => this.#writer.send(new PutObjectRetentionCommand({ ...version, Retention: { Mode, RetainUntilDate: sooner } }), this.#options)))) {
      return this.#refuted('LockShortened', 'a lock was shortened. Take s3:BypassGovernanceRetention from the principals, or use mode Compliance.');
    }
    const wasRefused = (await this.#isRefused(this.#prober, version)) && (await this.#isRefused(this.#prober, version, true));
    if (!wasRefused || !(await this.#isThere(version))) {
      return this.#refuted('NotImmutable', 'a version under a lock was deleted. Use mode Compliance, take s3:BypassGovernanceRetention from every principal, or use a service that keeps locks.');
    }
    return undefined;
  }

  #isRefused(client: S3Client, version: Version, bypass = false): Promise<boolean> {
    return this.#isRefusedBy(() => client.send(new DeleteObjectCommand({ ...version, ...(bypass ? { BypassGovernanceRetention: true } : {}) }), this.#options));
  }

  async #isRefusedBy(send: () => Promise<unknown>): Promise<boolean> {
    try {
      await send();
      return false;
    } catch (error) {
      if (isRefusal(error)) return true;
      throw error;
    }
  }

  async #isThere(version: Version): Promise<boolean> {
    try {
      await this.#writer.send(new HeadObjectCommand(version), this.#options);
      return true;
    } catch (error) {
      if (describeFailure(error).status === 404) return false;
      throw error;
    }
  }

  /** Best effort: a probe that stays does no harm. */
  async #tidy(): Promise<void> {
    const { address, now } = this.#request;
    try {
      const { Versions = [] } = await this.#writer.send(new ListObjectVersionsCommand({ Bucket: address.bucket, Prefix: `${address.prefix}probe/` }), this.#options);
      for (const { Key, VersionId, LastModified } of Versions) {
        if (Key === undefined || VersionId === undefined || now - (LastModified?.getTime() ?? now) < KEEP_MS) continue;
        await this.#prober.send(new DeleteObjectCommand({ Bucket: address.bucket, Key, VersionId }), this.#options);
      }
    } catch (error) {
      if (this.#request.signal?.aborted === true) throw error;
    }
  }

  #powerless(): LockProof {
    return this.#refuted('ProbePowerless', 'the principal of probeCredentialsSecretRef may not delete a version without a lock below probe/ either, so its refusal proves nothing. Give it s3:DeleteObject and s3:DeleteObjectVersion there.');
  }

  #lockOff(): LockProof {
    return this.#refuted('ObjectLockOff', 'the bucket has no Object Lock. Most services can turn it on only when a bucket is created: create one with it.');
  }

  #refuted(reason: LockProofErrorCode, why: string): LockProof {
    return { kind: 'refuted', reason, message: `Bucket ${this.#request.address.bucket} is no safe place for the copy: ${why}` };
  }
}

/** Credentials that are wrong refuse everything, which is no answer. */
function isRefusal(error: unknown): boolean {
  const { code } = s3Error(error, { doing: 'proving the Object Lock', endpoint: '' });
  return REFUSALS.has(describeFailure(error).status ?? 0) && code !== 'BadCredentials' && code !== 'ExpiredCredentials' && code !== 'BucketMissing';
}
