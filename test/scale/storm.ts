// A night in which every customer's backup is due at the same minute, watched from outside: what was made, how often, and in which order.
import { setTimeout as sleep } from 'node:timers/promises';
import { API_VERSION, type Backup, type BackupPolicy } from '../../src/api/index.ts';
import { displayTime } from '../../src/decide/index.ts';
import { Informer, ResourceClient, resourceTypes, type KubeConnection, type KubeObject } from '../../src/kube/index.ts';
import { each, type Customers } from './customers.ts';

export interface Storm {
  readonly due: number;
  readonly stored: number;
  /** Backups that got another end than `Stored`. */
  readonly otherwise: readonly string[];
  /** Policies without a backup of the night. */
  readonly lost: readonly string[];
  /** Backups with more than one Job, and policies with more than one backup of the night. */
  readonly twice: readonly string[];
  /** The most movers at a time: of all, and of one namespace. */
  readonly mostAtOnce: number;
  readonly mostOfNamespace: number;
  /** Seconds from the scheduled minute to the last one stored. */
  readonly seconds: number;
  /** Seconds that each backup asked for by a person in the middle of it waited for its mover. */
  readonly askedWaited: readonly number[];
  /** Seconds from the scheduled minute to the start of the mover: of the customers with one policy, and of those with many. */
  readonly waitOfOne: Quantiles;
  readonly waitOfMany: Quantiles;
}

export interface Quantiles {
  readonly median: number;
  readonly most: number;
}

export interface StormOptions {
  readonly connection: KubeConnection;
  readonly customers: Customers;
  readonly slot: number;
  readonly say: (line: string) => void;
  /** Called once, when this share of the backups is stored. */
  readonly at: { readonly share: number; readonly call: () => Promise<void> };
}

const ASK_AT_SHARE = 0.2;
const STALL_MS = 10 * 60_000;

/** Gives every policy a schedule for this one minute. */
export async function schedule(connection: KubeConnection, customers: Customers, slot: number): Promise<void> {
  const at = new Date(slot);
  const automatic = { schedule: `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`, keep: 14 };
  const policies = new ResourceClient<BackupPolicy>(connection, resourceTypes.backupPolicies);
  await each(customers.policies, async (key) => {
    const [namespace, name = ''] = key.split('/');
    await policies.patch(name, namespace, { spec: { automatic } });
  });
}

/** Waits for the slot, then until all that is due is stored. */
export async function watchStorm({ connection, customers, slot, say, at }: StormOptions): Promise<Storm> {
  const stop = new AbortController();
  const watched = new Watched(connection);
  const watching = watched.run(stop.signal);
  await watched.synced;
  const asked: string[] = [];
  const due = customers.policies.length;
  let [called, stored, progressAt] = [false, 0, Date.now()];
  await sleep(Math.max(0, slot - Date.now()));
  while (stored < due + asked.length) {
    await sleep(1000);
    const now = watched.stored.size;
    if (now !== stored) [stored, progressAt] = [now, Date.now()];
    if (Date.now() - progressAt > STALL_MS) break;
    if (Math.round(Date.now() / 1000) % 15 === 0) say(`${watched.made.size} made, ${watched.transferring.size} run, ${stored} of ${due} stored after ${Math.round((Date.now() - slot) / 1000)} s`);
    if (asked.length === 0 && stored >= due * ASK_AT_SHARE) asked.push(...(await ask(connection, customers.withRoom)));
    if (!called && stored >= due * at.share) {
      called = true;
      await at.call();
    }
  }
  const seconds = (Date.now() - slot) / 1000;
  stop.abort();
  await watching;
  return summary(watched, customers, { due, slot, seconds, asked });
}

/** Persons who click while the night's backups wait. */
async function ask(connection: KubeConnection, policies: readonly string[]): Promise<string[]> {
  const backups = new ResourceClient<Backup>(connection, resourceTypes.backups);
  for (const key of policies) {
    const [namespace, policy = ''] = key.split('/');
    await backups.create({ apiVersion: API_VERSION, kind: 'Backup', metadata: { name: 'asked', namespace }, spec: { policy } });
  }
  return policies.map((key) => `${key.split('/')[0] ?? ''}/asked`);
}

interface Seen {
  readonly policy: string;
  readonly trigger: string;
  readonly uid: string;
  readonly createdAt: string;
  startedAt: string | undefined;
  phase: string;
}

/** What the watches of Backups and Jobs tell, in their order. */
class Watched {
  /** Backups made since the watch began, by `namespace/name`. */
  readonly made = new Map<string, Seen>();
  readonly stored = new Set<string>();
  readonly transferring = new Map<string, string>();
  /** Jobs by the UID of their Backup. */
  readonly jobs = new Map<string, Set<string>>();
  mostAtOnce = 0;
  mostOfNamespace = 0;
  #synced = false;
  readonly #backups: Informer<Backup>;
  readonly #jobs: Informer<KubeObject & { readonly metadata: { readonly ownerReferences?: readonly { readonly uid: string }[] } }>;

  constructor(connection: KubeConnection) {
    this.#backups = new Informer<Backup>(new ResourceClient(connection, resourceTypes.backups), {
      project: ({ metadata, spec, status }) => ({ metadata: { ...metadata, labels: {} }, spec, ...(status === undefined ? {} : { status: { phase: status.phase, startedAt: status.startedAt } }) }) as Backup,
    });
    this.#jobs = new Informer(new ResourceClient(connection, resourceTypes.jobs));
    this.#backups.listen(({ type, object }) => {
      if (this.#synced && type !== 'deleted') this.#see(object);
    });
    this.#jobs.listen(({ type, object: { metadata } }) => {
      if (type !== 'added') return;
      for (const { uid } of metadata.ownerReferences ?? []) this.jobs.set(uid, (this.jobs.get(uid) ?? new Set<string>()).add(metadata.uid));
    });
  }

  get synced(): Promise<void> {
    return this.#backups.synced.then(() => {
      this.#synced = true;
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#backups.run(signal), this.#jobs.run(signal)]);
  }

  #see({ metadata, spec, status }: Backup): void {
    const namespace = metadata.namespace ?? '';
    const key = `${namespace}/${metadata.name}`;
    const seen = this.made.get(key) ?? { policy: `${namespace}/${spec.policy}`, trigger: spec.trigger, uid: metadata.uid, createdAt: metadata.creationTimestamp, startedAt: undefined, phase: '' };
    this.made.set(key, seen);
    seen.phase = status?.phase ?? 'Pending';
    seen.startedAt = status?.startedAt ?? seen.startedAt;
    if (seen.phase === 'Stored') this.stored.add(key);
    if (seen.phase === 'Transferring') this.transferring.set(key, namespace);
    else this.transferring.delete(key);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.transferring.size);
    const here = [...this.transferring.values()].filter((other) => other === namespace).length;
    this.mostOfNamespace = Math.max(this.mostOfNamespace, here);
  }
}

function summary(watched: Watched, customers: Customers, { due, slot, seconds, asked }: { due: number; slot: number; seconds: number; asked: readonly string[] }): Storm {
  const night = [...watched.made].filter(([, { trigger }]) => trigger === 'Automatic');
  const ofPolicy = Map.groupBy(night, ([, { policy }]) => policy);
  const waitOf = (wanted: (namespace: string) => boolean): Quantiles =>
    quantiles(night.flatMap(([key, { startedAt }]) => (startedAt !== undefined && wanted(key) ? (Date.parse(startedAt) - slot) / 1000 : [])));
  return {
    due,
    stored: night.filter(([, { phase }]) => phase === 'Stored').length,
    otherwise: night.flatMap(([key, { phase }]) => (phase === 'Stored' ? [] : `${key}: ${phase}`)),
    lost: customers.policies.filter((policy) => !ofPolicy.has(policy)),
    twice: [
      ...[...watched.made].filter(([, { uid }]) => (watched.jobs.get(uid)?.size ?? 0) !== 1).map(([key, { uid }]) => `${key}: ${watched.jobs.get(uid)?.size ?? 0} Jobs`),
      ...[...ofPolicy].filter(([, backups]) => backups.length > 1).map(([policy, backups]) => `${policy}: ${backups.length} backups`),
    ],
    mostAtOnce: watched.mostAtOnce,
    mostOfNamespace: watched.mostOfNamespace,
    seconds,
    askedWaited: asked.map((key) => {
      const seen = watched.made.get(key);
      return seen?.startedAt === undefined ? Infinity : (Date.parse(seen.startedAt) - Date.parse(seen.createdAt)) / 1000;
    }),
    waitOfOne: waitOf((key) => key.startsWith('customer-')),
    waitOfMany: waitOf((key) => key.startsWith('many-')),
  };
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, most: sorted.at(-1) ?? 0 };
}

/** The next whole minute that is at least so far away. */
export function slotAfter(ms: number): number {
  return Math.ceil((Date.now() + ms) / 60_000) * 60_000;
}

/** Policies that do not know of the slot. */
export async function unscheduled(connection: KubeConnection, slot: number): Promise<readonly string[]> {
  const { items } = await new ResourceClient<BackupPolicy>(connection, resourceTypes.backupPolicies).list();
  return items.filter(({ status }) => status?.automatic?.nextRun !== displayTime(slot)).map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`);
}
