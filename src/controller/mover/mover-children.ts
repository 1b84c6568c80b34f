/** A mover's Secret and Job, and the rights of a bridge beside it. */
import { BRIDGE_FILE, CREDENTIALS_FILE, ORDERS_FILE, type BackupLocation } from '../../api/index.ts';
import {
  ANNOTATION_CREDENTIALS_EXPIRE,
  ANNOTATION_CREDENTIALS_RENEWED,
  ANNOTATION_STALLED_AFTER,
  displayTime,
  moverJob,
  moverLabels,
  moverStarted,
  type MoverStart,
} from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes } from '../../kube/index.ts';
import { ownersOf } from '../caches.ts';
import type { MintedCredentials } from '../ports.ts';
import type { RawJob, RawSecret } from '../raw-objects.ts';
import { recordIfPossible } from './audit.ts';
import { BridgeRights } from './bridge-rights.ts';
import type { MoverContext } from './mover-context.ts';
import { secretData } from './secret-data.ts';

export interface MoverName {
  readonly name: string;
  readonly namespace: string;
  /** UID of the Backup or Restore: a Job of that name that is somebody else's is left alone. */
  readonly owner: string;
  /** Where its bridge may run commands; absent where it can have none. */
  readonly bridgeTo?: string | undefined;
}

export class MoverChildren {
  readonly #context: MoverContext;
  readonly #jobs: ResourceClient<RawJob>;
  readonly #secrets: ResourceClient<RawSecret>;
  readonly #rights: BridgeRights;

  constructor(context: MoverContext) {
    this.#context = context;
    this.#jobs = new ResourceClient(context.connection, resourceTypes.jobs);
    this.#secrets = new ResourceClient(context.connection, resourceTypes.secrets);
    this.#rights = new BridgeRights(context.connection);
  }

  /**
   * Makes the Secret, then the Job. Either may be there already from a run that ended in between: a Secret of ours gets fresh
   * content, a Job of ours is left as it is, and what belongs to somebody else is left alone, which the next decision reports.
   * @param requestedBy who asked for it, as the resource says
   * @throws {PortError} when the credentials cannot be made, or the event not recorded
   */
  async start(start: MoverStart, location: BackupLocation, signal: AbortSignal, requestedBy?: string): Promise<void> {
    const minted = await this.#context.minter.mint(location, start.orders.tenant.id, signal);
    if (!(await this.#putSecret(start, minted, signal))) return;
    // Whatever the mover may write or remove is on record before it can.
    const record = moverStarted(start.orders, this.#ownerOf(start), requestedBy);
    // Who restores from the second data center may have lost the first, and the trail's bucket with it. The trail of one installation is in one bucket.
    const trail = this.#context.caches.locations.get(location.metadata.name) ?? location;
    const isElsewhere = start.orders.storage.bucket !== trail.spec.s3.bucket || start.orders.storage.endpoint !== trail.spec.s3.endpoint;
    if (isElsewhere) await recordIfPossible(this.#context.audit, trail, start.orders.tenant.id, record, signal);
    else await this.#context.audit.record(trail, start.orders.tenant.id, record, signal);
    if (start.bridge !== undefined) await this.#rights.grant(start.job, start.bridge, signal);
    const expire = minted.expiresAt === undefined ? {} : { [ANNOTATION_CREDENTIALS_EXPIRE]: displayTime(minted.expiresAt) };
    try {
      const made = await this.#jobs.create(moverJob({ ...start.job, jobAnnotations: { ...start.job.jobAnnotations, ...expire, [ANNOTATION_STALLED_AFTER]: location.spec.mover.stalledAfter } }), signal);
      // The next look may come before the watch tells, and would make it again.
      this.#context.caches.jobs.remember(made);
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
    }
  }

  /** `Kind/namespace/name` of what the mover works for. */
  #ownerOf({ job, orders }: MoverStart): string {
    const home = job.home ?? job.namespace;
    if (orders.task === 'backup') return `Backup/${home}/${orders.backup}`;
    const [owner] = job.owners;
    return `${owner?.kind ?? 'Job'}/${home}/${owner?.name ?? job.name}`;
  }

  /** @returns false when a Secret of that name belongs to somebody else */
  async #putSecret(start: MoverStart, minted: MintedCredentials, signal: AbortSignal): Promise<boolean> {
    const { name, namespace, owners } = start.job;
    const data = secretData({ [ORDERS_FILE]: start.orders, [CREDENTIALS_FILE]: minted.credentials, ...(start.bridge === undefined ? {} : { [BRIDGE_FILE]: start.bridge.orders }) });
    const metadata = { name, namespace, labels: moverLabels(start.job), ownerReferences: [...owners] };
    try {
      await this.#secrets.create({ apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data }, signal);
      return true;
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
    }
    const there = await this.#secrets.get(name, namespace, signal);
    if (there === undefined || !isOfSame(there.metadata, start)) return false;
    await this.#secrets.patch(name, namespace, { metadata: { uid: there.metadata.uid }, data }, { signal });
    return true;
  }

  /** The Job is deleted in the foreground: it stays until its pods are gone, so its absence means that nothing runs any more. */
  async stop(mover: MoverName, signal: AbortSignal): Promise<void> {
    await this.#delete(mover, 'Foreground', signal);
  }

  /** Secret and Job of a mover that has ended. The Job last: while it is there, the next look finds both again. */
  async clear(mover: MoverName, signal: AbortSignal): Promise<void> {
    await this.#delete(mover, 'Background', signal);
    this.#context.listener.forget(mover.name);
  }

  async #delete({ name, namespace, owner, bridgeTo }: MoverName, propagationPolicy: 'Background' | 'Foreground', signal: AbortSignal): Promise<void> {
    const job = this.#context.caches.jobs.get(name, namespace);
    if (job !== undefined && !ownersOf(job.metadata).some(({ uid }) => uid === owner)) return;
    if (bridgeTo !== undefined) await this.#rights.revoke(name, namespace, bridgeTo, signal);
    await this.#secrets.delete(name, namespace, { signal });
    const left = await this.#jobs.delete(name, namespace, { propagationPolicy, signal, ...(job === undefined ? {} : { uid: job.metadata.uid }) });
    // The next look may come before the watch tells, and would delete both again.
    if (left !== undefined) this.#context.caches.jobs.remember(left);
    else if (job !== undefined) this.#context.caches.jobs.forget(job);
  }

  /** A fresh session into the Secret, then its end into the Job: after a crash in between it is only renewed again. */
  async renew(name: string, namespace: string, location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<void> {
    const minted = await this.#context.minter.mint(location, tenantId, signal);
    await this.#secrets.patch(name, namespace, { data: secretData({ [CREDENTIALS_FILE]: minted.credentials }) }, { signal });
    const annotations = {
      [ANNOTATION_CREDENTIALS_RENEWED]: displayTime(this.#context.clock.now()),
      [ANNOTATION_CREDENTIALS_EXPIRE]: minted.expiresAt === undefined ? null : displayTime(minted.expiresAt),
    };
    const job = await this.#jobs.patch(name, namespace, { metadata: { annotations } }, { signal });
    this.#context.caches.jobs.remember(job);
  }
}

/** A Secret that was made for the same owners, or, where it can have none, for the same Backup. */
function isOfSame(metadata: RawSecret['metadata'], { job }: MoverStart): boolean {
  const theirs = new Set(ownersOf(metadata).map(({ uid }) => uid));
  const ours = job.owners.length > 0 ? job.owners.map(({ uid }) => uid) : [job.backup?.uid ?? ''];
  return ours.some((uid) => theirs.has(uid));
}
