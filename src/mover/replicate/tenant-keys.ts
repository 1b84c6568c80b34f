import { promisedHash } from '../content-name.ts';

/**
 * The parts of a tenant in the order in which they are put: the replica is valid at every instant, because what refers comes after what it
 * refers to. Locks, results, prune marks and imports are not among them (`docs/layout.md`, "Locks").
 */
export const PUT_ORDER = ['trail', 'keys', 'wrappings', 'config', 'data', 'index', 'exports', 'snapshots', 'manifests'] as const;
export type Part = (typeof PUT_ORDER)[number];

/** What refers to nothing by itself stops what comes after it in its generation when it cannot be copied. */
export interface TenantKey {
  readonly part: Part;
  /** Absent for `trail`: revisions of the tenant, its people, its audit trail. */
  readonly generation?: number;
  /** `manifests` and `snapshots`: of which snapshot. */
  readonly snapshot?: string;
  /** `manifests`, and numbered files of the trail. */
  readonly number?: number;
}

const TRAIL = /^(tenant|tenant\/people|audit|audit\/heads)\/([0-9]{1,12})\.(?:json|age)$/;
const IN_GENERATION = /^g([1-9][0-9]{0,8})\/(.+)$/;
const MANIFEST = /^manifests\/([0-9a-f]{64})\/([1-9][0-9]{0,8})\.json$/;

/** What a key below a tenant's prefix is; `undefined` for what is not replicated. */
export function tenantKeyOf(key: string): TenantKey | undefined {
  const trail = TRAIL.exec(key);
  if (trail !== null) return { part: 'trail', number: Number(trail[2]) };
  const [, digits, name] = IN_GENERATION.exec(key) ?? [];
  if (digits === undefined || name === undefined) return undefined;
  const generation = Number(digits);
  if (name === 'config') return { part: 'config', generation };
  // It names the wrappings that count, so it comes after them, with the config.
  if (name === 'wrappings/first.json') return { part: 'config', generation };
  const [, snapshot, rev] = MANIFEST.exec(name) ?? [];
  if (snapshot !== undefined) return { part: 'manifests', generation, snapshot, number: Number(rev) };
  const hash = promisedHash(name);
  const part = PUT_ORDER.find((each) => name.startsWith(`${each}/`));
  if (hash === undefined || part === undefined) return undefined;
  return { part, generation, ...(part === 'snapshots' ? { snapshot: hash } : {}) };
}

/** Which sequence a file of the trail is numbered in: `tenant`, `tenant/people`, `audit` or `audit/heads`. */
export function trailOf(key: string): string | undefined {
  return TRAIL.exec(key)?.[1];
}

/** The name inside its generation, which `promisedHash` and a manifest know. */
export function nameInGeneration(key: string): string {
  return IN_GENERATION.exec(key)?.[2] ?? key;
}

export function isWrapping(key: string): boolean {
  return /^g[0-9]+\/wrappings\/[0-9a-f]{64}\.json$/.test(key);
}
