import type { ReplicaFinding } from '../../api/index.ts';
import { tenantKeyOf, trailOf } from './tenant-keys.ts';

/** How long work in progress may stand for a word of why something is gone. */
const SETTLES_WITHIN_MS = 24 * 3_600_000;
/** A night takes no more than this without a person's word, unless it is less than half. */
const FEW_SNAPSHOTS = 2;
const MOST_NAMES = 20;

export interface SourceState {
  readonly tenant: string;
  /** Replicated keys of the source with their sizes, below the tenant's prefix. */
  readonly here: ReadonlyMap<string, number>;
  /** The same of the replica, by what was put first under each name. */
  readonly there: ReadonlyMap<string, number>;
  /** Keys of the replica that somebody deleted or put something over. */
  readonly tampered: readonly string[];
  /** What the source had when it was last itself. */
  readonly before: ReadonlySet<string>;
  /** Snapshots that a forget of ours says it removed. */
  readonly forgotten: ReadonlySet<string>;
  /** Somebody holds a lock in the source: a forget may not have said yet what it removed. */
  readonly isBusy: boolean;
  readonly unsettledSince: Date | undefined;
  /** A person has confirmed what is missing. */
  readonly isReleased: boolean;
  readonly now: Date;
}

export interface Losses {
  readonly findings: readonly ReplicaFinding[];
  /** Set while something is gone and may be explained when the work in progress is done. */
  readonly unsettledSince: Date | undefined;
  /** Packs, index or export files went: a prune of ours may do so, as long as every manifest still has all that it names. */
  readonly mustCloseOver: boolean;
}

/**
 * What the source no longer has and nothing of ours explains. Listings alone tell: names and sizes. Whether what is new has the content that its name
 * says is seen when it is copied.
 */
export function findLosses(state: SourceState): Losses {
  const findings: ReplicaFinding[] = [];
  const find = (kind: ReplicaFinding['kind'], names: readonly string[], message: (count: number) => string): void => {
    if (names.length > 0) findings.push(findingOf(state.tenant, kind, names, message(names.length)));
  };
  find('Tampered', state.tampered, (count) => `${count} objects of the replica were deleted or written over by somebody; what was put first is still there, and readers take that. Find out who holds the replica's credentials.`);
  if (state.isReleased) return { findings, unsettledSince: undefined, mustCloseOver: false };

  const snapshots = lostSnapshots(state);
  const unexplained = snapshots.lost.filter((key) => !state.forgotten.has(tenantKeyOf(key)?.snapshot ?? ''));
  const unsettledSince = unexplained.length > 0 && state.isBusy ? (state.unsettledSince ?? state.now) : undefined;
  const isSettled = unsettledSince === undefined || state.now.getTime() - unsettledSince.getTime() > SETTLES_WITHIN_MS;
  if (isSettled) find('Missing', unexplained, (count) => `the source has lost ${count} snapshots that nobody forgot (no result of a forget names them). The replica keeps them, under lock. Find out what happened to the source.`);
  if (unexplained.length === 0 && isTooMuch(snapshots)) {
    find('Shrunk', snapshots.lost, (count) => `${count} of ${snapshots.before} snapshots were forgotten in the source, more than a night's work explains. The replica keeps them, under lock. Confirm that this was meant, or find out who did it.`);
  }
  find('Missing', lostFoundations(state), (count) => `the source has lost ${count} objects that nothing of ours removes: keys, configuration, revisions or audit events; it was emptied or rolled back. The replica keeps them, under lock.`);
  find('Altered', resized(state), (count) => `${count} objects of the source have another size than in the replica, although nothing is ever put twice under one name. They are not copied.`);
  return { findings, unsettledSince, mustCloseOver: lostContent(state) };
}

export function findingOf(tenant: string, kind: ReplicaFinding['kind'], names: readonly string[], message: string): ReplicaFinding {
  return { tenant, kind, message, count: names.length, names: names.slice(0, MOST_NAMES) };
}

/** Snapshots of the source that count: with file and manifest, as `g<generation>/snapshots/<id>`. */
export function wholeSnapshots(keys: Iterable<string>): Set<string> {
  const files = new Set<string>();
  const manifested = new Set<string>();
  for (const key of keys) {
    const known = tenantKeyOf(key);
    if (known?.part === 'snapshots') files.add(key);
    if (known?.part === 'manifests') manifested.add(`g${known.generation ?? 0}/snapshots/${known.snapshot ?? ''}`);
  }
  return new Set([...files].filter((key) => manifested.has(key)));
}

function lostSnapshots({ before, here }: SourceState): { readonly lost: readonly string[]; readonly before: number } {
  const whole = wholeSnapshots(before);
  const left = wholeSnapshots(here.keys());
  return { lost: [...whole].filter((key) => !left.has(key)).sort(), before: whole.size };
}

function isTooMuch({ lost, before }: { readonly lost: readonly string[]; readonly before: number }): boolean {
  return lost.length > 0 && (lost.length === before || (lost.length > FEW_SNAPSHOTS && lost.length * 2 > before));
}

/** What no work of ours ever removes, but for the newest of each numbered sequence: older revisions may go. */
function lostFoundations({ before, here }: SourceState): string[] {
  const highest = new Map<string, number>();
  for (const key of here.keys()) {
    const trail = trailOf(key);
    if (trail !== undefined) highest.set(trail, Math.max(highest.get(trail) ?? 0, tenantKeyOf(key)?.number ?? 0));
  }
  return [...before].filter((key) => {
    if (here.has(key)) return false;
    const known = tenantKeyOf(key);
    if (known?.part === 'trail') return (known.number ?? 0) > (highest.get(trailOf(key) ?? '') ?? 0);
    return known?.part === 'keys' || known?.part === 'wrappings' || known?.part === 'config';
  });
}

function resized({ here, there }: SourceState): string[] {
  return [...here].flatMap(([key, size]) => (there.get(key) ?? size) === size ? [] : [key]);
}

function lostContent({ before, here }: SourceState): boolean {
  for (const key of before) {
    if (here.has(key)) continue;
    const part = tenantKeyOf(key)?.part;
    if (part === 'data' || part === 'index' || part === 'exports') return true;
  }
  return false;
}
