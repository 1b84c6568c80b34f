import { createHash } from 'node:crypto';
import type { KubeConnection } from './connection.ts';
import { isKubeError } from './errors.ts';
import { collectionPath, resourceTypes } from './resource-type.ts';

/** What an event is about. Cluster-scoped objects have no namespace; their events lie in `default`, as Kubernetes' own do. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string | undefined; readonly uid: string };
}

export interface EventInput {
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
  /** What was done or tried, one CamelCase word. */
  readonly action: string;
}

/** The same news about the same object is told once in this time. */
const QUIET_MS = 10 * 60_000;
const MOST_REMEMBERED = 10_000;
const MOST_WAITING = 1000;
/** A longer note is refused, and the event with it. */
const MOST_NOTE_BYTES = 1024;

/** Writes events one after the other beside the work: never blocks it, never fails it. */
export class EventRecorder {
  readonly #connection: KubeConnection;
  readonly #instance: string;
  readonly #now: () => Date;
  readonly #onError: (error: unknown) => void;
  readonly #told = new Map<string, number>();
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();

  /** @param instance - the pod's name */
  constructor(connection: KubeConnection, instance: string, now: () => Date, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#instance = instance;
    this.#now = now;
    this.#onError = onError;
  }

  record(subject: EventSubject, event: EventInput): void {
    const now = this.#now();
    const id = createHash('sha256').update(JSON.stringify([subject.metadata.uid, event])).digest('hex');
    if (now.getTime() - (this.#told.get(id) ?? -Infinity) < QUIET_MS || this.#waiting >= MOST_WAITING) return;
    this.#told.delete(id);
    this.#told.set(id, now.getTime());
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= MOST_REMEMBERED) break;
      this.#told.delete(oldest);
    }
    this.#waiting += 1;
    this.#tail = this.#tail.then(() => this.#write(subject, event, now, id));
  }

  /** Resolves when what was recorded so far is written or given up. */
  async flush(): Promise<void> {
    await this.#tail;
  }

  async #write(subject: EventSubject, event: EventInput, now: Date, id: string): Promise<void> {
    const namespace = subject.metadata.namespace ?? 'default';
    const body = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${subject.metadata.name.slice(0, 200)}.${id.slice(0, 10)}.${now.getTime().toString(36)}`, namespace },
      eventTime: now.toISOString().replace('Z', '000Z'),
      reportingController: 'backup.dupp.de/tenant-backup',
      reportingInstance: this.#instance.slice(0, 128),
      action: event.action,
      reason: event.reason,
      note: inBytes(event.message, MOST_NOTE_BYTES),
      type: event.type,
      regarding: {
        apiVersion: subject.apiVersion,
        kind: subject.kind,
        name: subject.metadata.name,
        namespace: subject.metadata.namespace,
        uid: subject.metadata.uid,
      },
    };
    try {
      await this.#connection.request('POST', collectionPath(resourceTypes.events, namespace), { body });
    } catch (error) {
      // In a namespace that is going away nothing can be created; nobody would read it there either.
      if (!isKubeError(error, 'Forbidden', 'NotFound')) this.#onError(error);
    } finally {
      this.#waiting -= 1;
    }
  }
}

/** The beginning of a text, cut between two characters. */
function inBytes(text: string, most: number): string {
  const bytes = Buffer.from(text);
  return bytes.length <= most ? text : bytes.subarray(0, most).toString('utf8').replace(/\uFFFD+$/, '');
}
