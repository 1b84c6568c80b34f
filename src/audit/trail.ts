import type { AuditAction } from '../api/index.ts';
import { StorageError, type ObjectStore } from '../storage/index.ts';
import { AuditError } from './errors.ts';
import { decodeEvent, eventKey, headKey, hashOf, NO_EVENT, signEvent, signHead, type AuditDetails, type AuditEvent } from './event.ts';
import type { AuditSigner } from './signer.ts';

/** What happened, before it has its place in the trail. */
export interface AuditEntry {
  /** Deterministic: the same step taken again after a crash has the same. */
  readonly id: string;
  readonly action: AuditAction;
  /** `operator`, or a pseudonym. */
  readonly actor: string;
  /** `Kind/namespace/name` */
  readonly object: string;
  readonly details: AuditDetails;
}

export interface RecordedEvent {
  readonly seq: number;
  /** SHA-256 of its bytes. */
  readonly hash: string;
  /** False when an event with this id was there already. */
  readonly isNew: boolean;
}

export interface AuditTrailOptions {
  readonly tenantId: string;
  readonly signer: AuditSigner;
  readonly now: () => Date;
  /** Told of each new event, once it is durable. */
  readonly onRecorded?: (event: AuditEvent) => void;
}

/** A step that is taken again follows its first taking closely. */
const REMEMBERED = 16;
/** Writers of one trail: two replicas for a moment, or a person's command beside the operator. */
const MOST_RACES = 20;

interface Tail {
  readonly seq: number;
  readonly hash: string;
  /** The newest events by id, oldest first. */
  readonly recent: ReadonlyMap<string, { readonly seq: number; readonly hash: string }>;
}

/**
 * A tenant's audit trail, to write to. Each event is put under the next sequence number on the condition that nobody has put
 * another there, so that two writers never fork it; then a signed head says that the trail goes as far as that.
 */
export class AuditTrail {
  readonly #options: AuditTrailOptions;
  #tail: Tail | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: AuditTrailOptions) {
    this.#options = options;
  }

  /**
   * Resolves once the event is durable: only then may what it tells of be done.
   * @param store at the tenant's prefix, `tenants/<tenantId>/`; the same place each time, however it was opened
   * @throws {StorageError}
   * @throws {AuditError} `AuditTampered` when the newest events are not what was written: nothing is added to a broken trail
   */
  record(store: ObjectStore, entry: AuditEntry, signal?: AbortSignal): Promise<RecordedEvent> {
    const recorded = this.#queue.then(() => this.#record(store, entry, signal));
    this.#queue = recorded.catch(() => undefined);
    return recorded;
  }

  async #record(store: ObjectStore, entry: AuditEntry, signal: AbortSignal | undefined): Promise<RecordedEvent> {
    for (let race = 0; race < MOST_RACES; race += 1) {
      const tail = (this.#tail ??= await this.#load(store, signal));
      const known = tail.recent.get(entry.id);
      if (known !== undefined) return { ...known, isNew: false };
      const recorded = await this.#append(store, entry, tail, signal);
      if (recorded !== undefined) return recorded;
      this.#tail = undefined;
    }
    throw new AuditError('AuditBusy', `${MOST_RACES} times in a row somebody else wrote the next event of ${store.location}; try again`, { retryable: true });
  }

  /** @returns undefined when another writer was faster */
  async #append(store: ObjectStore, entry: AuditEntry, tail: Tail, signal: AbortSignal | undefined): Promise<RecordedEvent | undefined> {
    const { tenantId, signer, now, onRecorded } = this.#options;
    const seq = tail.seq + 1;
    const at = now().toISOString();
    const { bytes, hash } = signEvent({ ...entry, tenant: tenantId, seq, previous: tail.hash, at }, signer);
    try {
      await store.put(eventKey(seq), bytes, { ifAbsent: true, signal });
    } catch (error) {
      if (error instanceof StorageError && error.code === 'AlreadyExists') return undefined;
      // It may have been stored all the same; the bucket is asked before the next try.
      this.#tail = undefined;
      throw error;
    }
    this.#tail = undefined;
    await this.#putHead(store, seq, hash, at, signal);
    this.#tail = { seq, hash, recent: new Map([...tail.recent, [entry.id, { seq, hash }] as const].slice(-REMEMBERED)) };
    onRecorded?.(decodeEvent(bytes, eventKey(seq)));
    return { seq, hash, isNew: true };
  }

  /** The end of the trail, from the bucket. A head that a crash left out is put now, if the event is this installation's own. */
  async #load(store: ObjectStore, signal: AbortSignal | undefined): Promise<Tail> {
    const seqs = await listSeqs(store, signal);
    const newest = seqs.at(-1) ?? 0;
    if (seqs.length !== newest) {
      throw new AuditError('AuditTampered', `the audit trail in ${store.location} has a gap: ${seqs.length} events, the last one with number ${newest}; find the missing ones with tenant-backup audit verify`, {
        context: { tenant: this.#options.tenantId },
      });
    }
    const recent = new Map<string, { seq: number; hash: string }>();
    let previous: { readonly seq: number; readonly hash: string } | undefined;
    const end = await Promise.all(seqs.slice(-REMEMBERED).map(async (seq) => ({ seq, bytes: await store.get(eventKey(seq), { signal }) })));
    for (const { seq, bytes } of end) {
      const event = decodeEvent(bytes, `${eventKey(seq)} in ${store.location}`);
      if (event.seq !== seq || event.tenant !== this.#options.tenantId || (previous !== undefined && event.previous !== previous.hash)) {
        throw new AuditError('AuditTampered', `${eventKey(seq)} in ${store.location} does not follow the event before it; look at the trail with tenant-backup audit verify`, {
          context: { tenant: this.#options.tenantId, seq },
        });
      }
      previous = { seq, hash: hashOf(bytes) };
      // Ids can be foretold: one that somebody else recorded beforehand would keep the step itself off the trail.
      const isOwn = event.key === this.#options.signer.publicKey;
      if (isOwn) recent.set(event.id, previous);
      if (seq === newest && isOwn) await this.#putHead(store, seq, previous.hash, event.at, signal);
    }
    return { seq: newest, hash: previous?.hash ?? NO_EVENT, recent };
  }

  /** The same event has the same head, to the byte: whoever puts it first, it is that. */
  async #putHead(store: ObjectStore, seq: number, hash: string, at: string, signal: AbortSignal | undefined): Promise<void> {
    const { tenantId, signer } = this.#options;
    try {
      await store.put(headKey(seq), signHead({ tenant: tenantId, seq, hash, at }, signer), { ifAbsent: true, signal });
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'AlreadyExists')) throw error;
    }
  }
}

const EVENT_FILE = /^audit\/([0-9]{12})\.json$/;

/** Sequence numbers of the events that are there, in order. */
export async function listSeqs(store: ObjectStore, signal?: AbortSignal): Promise<number[]> {
  const seqs: number[] = [];
  // Not `audit/`, below which the heads lie, too: a trail would have to pass 99,999,999,999 events to leave this prefix.
  for await (const { key } of store.list('audit/0', { signal })) {
    const digits = EVENT_FILE.exec(key)?.[1];
    if (digits !== undefined) seqs.push(Number(digits));
  }
  return seqs;
}
