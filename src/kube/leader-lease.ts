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

  /** One round: takes or renews the lease if it is free, ours or expired. */
  async #tryAcquire(): Promise<boolean> {
    const { namespace, name, identity, leaseMs } = this.#options;
    try {
      const lease = await this.#client.get(name, namespace, AbortSignal.timeout(leaseMs / 3));
      const now = new Date().toISOString().replace('Z', '000Z');
      if (lease === undefined) {
        await this.#client.create({
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { namespace, name },
          spec: { holderIdentity: identity, leaseDurationSeconds: Math.ceil(leaseMs / 1000), acquireTime: now, renewTime: now, leaseTransitions: 0 },
        });
        return true;
      }
      const holder = lease.spec?.holderIdentity ?? '';
      if (holder !== identity && holder !== '' && !this.#isExpired(lease)) return false;
      const isRenewal = holder === identity;
      const transitions = (lease.spec?.leaseTransitions ?? 0) + (isRenewal ? 0 : 1);
      await this.#client.patch(name, namespace, {
        metadata: { resourceVersion: lease.metadata.resourceVersion },
        spec: {
          holderIdentity: identity,
          leaseDurationSeconds: Math.ceil(leaseMs / 1000),
          renewTime: now,
          ...(isRenewal ? {} : { acquireTime: now, leaseTransitions: transitions }),
        },
      });
      return true;
    } catch (error) {
      if (!isKubeError(error, 'Conflict', 'AlreadyExists')) this.#options.onError?.(error);
      return false;
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
    try {
      const lease = await this.#client.get(name, namespace, AbortSignal.timeout(2000));
      if (lease?.spec?.holderIdentity !== identity) return;
      await this.#client.patch(name, namespace, {
        metadata: { resourceVersion: lease.metadata.resourceVersion },
        spec: { holderIdentity: '', leaseDurationSeconds: 1 },
      });
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { retryMs } = this.#options;
    await sleep(retryMs * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined);
  }
}
