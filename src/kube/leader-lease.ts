import { setTimeout as sleep } from 'node:timers/promises';
import { isKubeError } from './errors.ts';
import type { ResourceClient } from './resource-client.ts';
import type { KubeObject } from './resource-type.ts';

export interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number | null;
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number | null;
  };
}

export interface LeaderOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique to a replica, and the same after its container was started anew: then it leads again at once. */
  readonly identity: string;
  /** How long a lease that is not renewed keeps others out. */
  readonly leaseMs?: number;
  /** The holder gives up when it could not renew for this long; shorter than `leaseMs`. */
  readonly renewDeadlineMs?: number;
  readonly retryMs?: number;
  readonly onError?: (error: unknown) => void;
}

const DEFAULTS = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 1000 };

/**
 * Leader election on a `coordination.k8s.io` Lease: at most one replica leads. Clocks of other replicas are not trusted; a lease counts as expired when it was seen
 * unchanged for its duration on our own clock (as client-go does).
 */
export class LeaderLease {
  readonly #client: ResourceClient<LeaseObject>;
  readonly #options: Required<Omit<LeaderOptions, 'onError'>> & Pick<LeaderOptions, 'onError'>;
  #seen: { readonly version: string; readonly at: number } | undefined;
  /** As this replica wrote it last; undefined while it may be another's. */
  #held: LeaseObject | undefined;

  constructor(client: ResourceClient<LeaseObject>, options: LeaderOptions) {
    this.#client = client;
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Waits for the lease, then runs `lead` with a signal that fires when it is lost or `signal` fires; releases it at the end. */
  async run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    while (!signal.aborted && !(await this.#tryAcquire())) await this.#pause(signal);
    if (signal.aborted) return;
    const lost = new AbortController();
    const leading = AbortSignal.any([signal, lost.signal]);
    const renewing = this.#renew(leading, lost);
    try {
      await lead(leading);
    } finally {
      const wasLost = lost.signal.aborted;
      lost.abort();
      await renewing;
      if (!wasLost) await this.#release();
    }
  }

  async #renew(signal: AbortSignal, lost: AbortController): Promise<void> {
    let renewedAt = performance.now();
    for (;;) {
      await this.#pause(signal);
      if (signal.aborted) return;
      if (await this.#tryAcquire()) renewedAt = performance.now();
      else if (performance.now() - renewedAt > this.#options.renewDeadlineMs) lost.abort(new Error('the leader lease could not be renewed'));
    }
  }

  /** One round: renews the lease if it is ours, else takes it if it is free or expired. */
  async #tryAcquire(): Promise<boolean> {
    try {
      return (await this.#renewHeld()) || (await this.#acquire());
    } catch (error) {
      if (!isKubeError(error, 'Conflict', 'AlreadyExists')) this.#options.onError?.(error);
      return false;
    }
  }

  /** One request a round: what it wrote last is what it knows. Whoever wrote since, if only a label, makes it read again. */
  async #renewHeld(): Promise<boolean> {
    this.#held = this.#held && (await this.#writeUnchanged(this.#held, { renewTime: microTime() }));
    return this.#held !== undefined;
  }

  async #acquire(): Promise<boolean> {
    const { namespace, name, identity, leaseMs } = this.#options;
    const lease = await this.#client.get(name, namespace, AbortSignal.timeout(leaseMs / 3));
    const now = microTime();
    const mine = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(leaseMs / 1000), renewTime: now };
    if (lease === undefined) {
      this.#held = await this.#client.create({
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { namespace, name },
        spec: { ...mine, acquireTime: now, leaseTransitions: 0 },
      });
      return true;
    }
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder !== identity && holder !== '' && !this.#isExpired(lease)) return false;
    const taken = holder === identity ? {} : { acquireTime: now, leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + 1 };
    this.#held = await this.#write(lease, { ...mine, ...taken });
    return true;
  }

  /** Under the version that was seen: of two that write, one gets `Conflict`. */
  async #write({ metadata: { resourceVersion } }: LeaseObject, spec: NonNullable<LeaseObject['spec']>): Promise<LeaseObject> {
    const { namespace, name, leaseMs } = this.#options;
    return this.#client.patch(name, namespace, { metadata: { resourceVersion }, spec }, { signal: AbortSignal.timeout(leaseMs / 3) });
  }

  /** `undefined` when somebody else wrote it since. */
  async #writeUnchanged(lease: LeaseObject, spec: NonNullable<LeaseObject['spec']>): Promise<LeaseObject | undefined> {
    try {
      return await this.#write(lease, spec);
    } catch (error) {
      if (isKubeError(error, 'Conflict', 'NotFound')) return undefined;
      throw error;
    }
  }

  #isExpired(lease: LeaseObject): boolean {
    const version = lease.metadata.resourceVersion;
    if (this.#seen?.version !== version) this.#seen = { version, at: performance.now() };
    const durationMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000 || this.#options.leaseMs;
    return performance.now() - this.#seen.at > durationMs;
  }

  /** An empty holder lets the next replica in within a second instead of after the whole duration. */
  async #release(): Promise<void> {
    const { namespace, name, identity } = this.#options;
    const free = { holderIdentity: '', leaseDurationSeconds: 1 };
    const held = this.#held;
    this.#held = undefined;
    try {
      if (held !== undefined && (await this.#writeUnchanged(held, free)) !== undefined) return;
      const lease = await this.#client.get(name, namespace, AbortSignal.timeout(2000));
      if (lease?.spec?.holderIdentity === identity) await this.#write(lease, free);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { retryMs } = this.#options;
    await sleep(retryMs * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined);
  }
}

/** As Kubernetes writes a MicroTime. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
