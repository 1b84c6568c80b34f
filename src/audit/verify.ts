import { Readable } from 'node:stream';
import type { ObjectStore } from '../storage/index.ts';
import { AuditError } from './errors.ts';
import { decodeEvent, decodeHead, eventKey, headKey, hashOf, NO_EVENT, type AuditEvent } from './event.ts';
import { fingerprintOf } from './signer.ts';

/** One thing that is wrong with a trail. */
export interface AuditFinding {
  readonly kind:
    /** An event before the last one is not there. */
    | 'Missing'
    /** An event or head does not read, or its signature does not fit. */
    | 'Altered'
    /** An event names another event before it than the one that stands there, another number, or another tenant. */
    | 'OutOfOrder'
    /** A signed head, here or in the second data center, tells of later events than there are. */
    | 'CutOff'
    /** An event other than the last one has no head, or no event of the second data center's fits. */
    | 'NoHead'
    /** A head or the second data center has another event under that number. */
    | 'Forked'
    /** Signed by a key that is not trusted, or by several while none was named. */
    | 'UntrustedKey'
    /** A file that no trail has. */
    | 'Unknown';
  readonly seq?: number;
  readonly message: string;
}

export interface AuditVerification {
  readonly events: number;
  /** Number of the last event; 0 for an empty trail. */
  readonly newest: number;
  readonly newestHash: string;
  /** Fingerprints of the keys that signed, in the order in which they appear. */
  readonly keys: readonly string[];
  /** How far the second data center's copy goes, where one was given. */
  readonly replicaNewest: number | undefined;
  readonly findings: readonly AuditFinding[];
}

export interface VerifyOptions {
  readonly tenantId: string;
  /** At the tenant's prefix in the second data center. */
  readonly replica?: ObjectStore | undefined;
  /** Base64. Where absent, one key for the whole trail is taken on trust: compare its fingerprint. */
  readonly trustedKeys?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads the whole trail and everything that can tell what it should be. Throws for nothing but an unreadable store. */
export async function verifyTrail(store: ObjectStore, options: VerifyOptions): Promise<AuditVerification> {
  const findings: AuditFinding[] = [];
  const own = await readSide(store, options, findings);
  const replica = options.replica === undefined ? undefined : await readSide(options.replica, options, findings);
  judgeHeads(own, own.heads, store.location, findings);
  if (replica !== undefined) {
    judgeHeads(own, replica.heads, replica.location, findings);
    judgeHeads(own, new Map([...replica.events].map(([seq, { hash }]) => [seq, hash])), replica.location, findings);
    judgeHeads(replica, replica.heads, replica.location, findings);
  }
  const keys = [...new Set([...own.keys, ...(replica?.keys ?? [])])];
  judgeKeys(keys, options.trustedKeys, findings);
  return {
    events: own.events.size,
    newest: own.newest,
    newestHash: own.events.get(own.newest)?.hash ?? NO_EVENT,
    keys: keys.map(fingerprintOf),
    replicaNewest: replica?.newest,
    findings: unique(findings),
  };
}

/** The events of a trail in order, without judging it. @throws {AuditError} for one that does not read */
export async function* readEvents(store: ObjectStore, signal?: AbortSignal): AsyncIterable<AuditEvent> {
  for await (const { key, bytes } of filesOf(store, signal)) {
    if (bytes !== undefined && EVENT_FILE.test(key)) yield decodeEvent(bytes, key);
  }
}

/** Small files far away: years of them, one after the other, would take as many round trips. */
const READ_AT_ONCE = 16;

interface TrailFile {
  readonly key: string;
  /** Undefined for a file that no trail has. */
  readonly bytes: Uint8Array | undefined;
}

/** What lies in a trail's folder, in order of names. */
function filesOf(store: ObjectStore, signal: AbortSignal | undefined): AsyncIterable<TrailFile> {
  const read = async ({ key }: { readonly key: string }): Promise<TrailFile> => ({ key, bytes: isTrailFile(key) ? await store.get(key, { signal }) : undefined });
  return Readable.from(store.list('audit/', { signal })).map(read, { concurrency: READ_AT_ONCE });
}

interface Side {
  readonly location: string;
  readonly newest: number;
  /** `hash` of the bytes as they are, whatever they say. */
  readonly events: ReadonlyMap<number, { readonly hash: string }>;
  readonly heads: ReadonlyMap<number, string>;
  readonly keys: readonly string[];
}

const EVENT_FILE = /^audit\/([0-9]{12})\.json$/;
const HEAD_FILE = /^audit\/heads\/([0-9]{12})\.json$/;
const isTrailFile = (key: string): boolean => EVENT_FILE.test(key) || HEAD_FILE.test(key);

async function readSide(store: ObjectStore, { tenantId, signal }: VerifyOptions, findings: AuditFinding[]): Promise<Side> {
  const events = new Map<number, { hash: string; event: AuditEvent | undefined }>();
  const heads = new Map<number, string>();
  const keys = new Set<string>();
  for await (const { key, bytes } of filesOf(store, signal)) {
    const seq = Number((EVENT_FILE.exec(key) ?? HEAD_FILE.exec(key))?.[1]);
    const what = `${key} in ${store.location}`;
    if (bytes === undefined) {
      findings.push({ kind: 'Unknown', message: `${what} is no file of an audit trail; find out who put it there` });
      continue;
    }
    const isEvent = EVENT_FILE.test(key);
    const read = readOne(() => (isEvent ? decodeEvent(bytes, what) : decodeHead(bytes, what)), seq, findings);
    if (read !== undefined) keys.add(read.key);
    if (isEvent) events.set(seq, { hash: hashOf(bytes), event: read as AuditEvent | undefined });
    else if (read !== undefined && 'hash' in read) heads.set(seq, read.hash);
    if (read !== undefined && (read.seq !== seq || read.tenant !== tenantId)) {
      findings.push({ kind: 'OutOfOrder', seq, message: `${what} is number ${read.seq} of tenant ${read.tenant}; it does not belong here` });
    }
  }
  judgeChain(store.location, events, findings);
  const newest = [...events.keys()].reduce((most, seq) => Math.max(most, seq), 0);
  return { location: store.location, newest, events, heads, keys: [...keys] };
}

function readOne<T>(read: () => T, seq: number, findings: AuditFinding[]): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    findings.push({ kind: 'Altered', seq, message: error.message });
    return undefined;
  }
}

function judgeChain(location: string, events: ReadonlyMap<number, { readonly hash: string; readonly event: AuditEvent | undefined }>, findings: AuditFinding[]): void {
  let before: { readonly seq: number; readonly hash: string } = { seq: 0, hash: NO_EVENT };
  for (const [seq, { hash, event }] of [...events].toSorted(([one], [other]) => one - other)) {
    for (let missing = before.seq + 1; missing < seq && missing < before.seq + MOST_MISSING; missing += 1) {
      findings.push({ kind: 'Missing', seq: missing, message: `event ${missing} is missing in ${location}` });
    }
    if (event !== undefined && before.seq === seq - 1 && event.previous !== before.hash) {
      findings.push({ kind: 'OutOfOrder', seq, message: `event ${seq} in ${location} does not follow event ${before.seq} as it stands there` });
    }
    before = { seq, hash };
  }
}

/** A forged number must not make a billion findings. */
const MOST_MISSING = 100;

/** The events of a side against what signed heads, or the other side, say of them. */
function judgeHeads(side: Side, claims: ReadonlyMap<number, string>, claimedIn: string, findings: AuditFinding[]): void {
  for (const [seq, hash] of claims) {
    const event = side.events.get(seq);
    if (event === undefined) findings.push({ kind: seq > side.newest ? 'CutOff' : 'Missing', seq, message: `${claimedIn} proves that there was an event ${seq}; ${side.location} lacks it` });
    else if (event.hash !== hash) findings.push({ kind: 'Forked', seq, message: `event ${seq} in ${side.location} is another one than ${claimedIn} proves` });
  }
  if (claims !== side.heads) return;
  for (const seq of side.events.keys()) {
    // Event and head are two writes: a crash may leave the last one without, until the next event.
    if (!claims.has(seq) && seq !== side.newest) findings.push({ kind: 'NoHead', seq, message: `${headKey(seq)} is missing in ${side.location}; ${eventKey(seq)} has one` });
  }
}

function judgeKeys(keys: readonly string[], trusted: readonly string[] | undefined, findings: AuditFinding[]): void {
  if (trusted !== undefined) {
    for (const key of keys) {
      if (!trusted.includes(key)) findings.push({ kind: 'UntrustedKey', message: `the key with the fingerprint ${fingerprintOf(key)} signed, and is not among those that are trusted` });
    }
    return;
  }
  if (keys.length > 1) {
    findings.push({ kind: 'UntrustedKey', message: `${keys.length} keys signed (${keys.map(fingerprintOf).join(', ')}); name those that were ever this installation's with --public-key` });
  }
}

function unique(findings: readonly AuditFinding[]): AuditFinding[] {
  return [...new Map(findings.map((finding) => [finding.message, finding])).values()];
}
