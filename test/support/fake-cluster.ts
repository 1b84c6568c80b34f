/**
 * A stand-in for an API server, a Job controller, a kubelet and the garbage collector, in memory, for tests that look at every gap
 * between two effects. The real ones are met in test/e2e. It can break off after its n-th write, as a killed operator would.
 */
import { randomUUID } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeConnection, KubeError, type KubeObject, type Method, type RequestOptions } from '../../src/kube/index.ts';
import { kinds } from '../../src/api/index.ts';
import type { Cache } from '../../src/controller/caches.ts';

type Json = Record<string, unknown>;
export type Stored = KubeObject & {
  metadata: KubeObject['metadata'] & {
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    finalizers?: string[];
    ownerReferences?: { kind: string; name: string; uid: string }[];
  };
  spec?: Json;
  status?: Json;
};

/** Thrown after a write was made: the operator was killed right then. */
export class Killed extends Error {}

interface Address {
  collection: string;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
}

export class FakeCluster extends KubeConnection {
  readonly requests: string[] = [];
  writes = 0;
  /** Break off after this many writes. */
  killAfter = Infinity;
  now: number;
  /** Names of nodes that do not answer: a pod there that is deleted stays. */
  readonly stuckNodes = new Set<string>();
  readonly #objects = new Map<string, Stored>();
  #version = 1;

  constructor(now: number) {
    super(kubeConfig());
    this.now = now;
  }

  override request<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
    const answer = this.#answer(method, path, options) as T;
    if (method !== 'GET') {
      this.writes++;
      if (this.writes >= this.killAfter) {
        this.killAfter = Infinity;
        return Promise.reject(new Killed(`killed after write ${this.writes}: ${method} ${path}`));
      }
    }
    return Promise.resolve(structuredClone(answer));
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  override async *lines(): AsyncGenerator<string> {
    yield* [];
  }

  #answer(method: Method, path: string, options: RequestOptions): unknown {
    this.requests.push(`${method} ${path}`);
    if (path === '/apis/apps/v1')
      return {
        resources: [
          { name: 'statefulsets', kind: 'StatefulSet', namespaced: true },
          { name: 'statefulsets/scale', kind: 'Scale', namespaced: true },
        ],
      };
    if (path === '/apis/groupsnapshot.storage.k8s.io') return { preferredVersion: { version: 'v1beta2' } };
    const at = addressOf(path);
    switch (method) {
      case 'GET':
        return at.name === undefined ? this.#listing(at, options) : this.#read(at);
      case 'POST':
        return this.put(at.collection, at.namespace, options.body as Stored);
      case 'PATCH':
        return this.#patch(at, options.body as Json);
      case 'DELETE':
        this.remove(at.collection, at.namespace, at.name ?? '', options.body as { propagationPolicy?: string; preconditions?: { uid?: string } });
        return this.find(at.collection, at.namespace, at.name ?? '') ?? { kind: 'Status', status: 'Success' };
      case 'PUT':
        throw new KubeError('BadRequest', 'the stand-in knows no PUT');
    }
  }

  #read(at: Address): Stored {
    const found = this.find(at.collection, at.namespace, at.name ?? '');
    if (found === undefined) throw new KubeError('NotFound', `${at.collection} ${at.name ?? ''} not found`, { status: 404 });
    if (at.subresource !== 'scale') return found;
    return { metadata: found.metadata, spec: { replicas: found.spec?.['replicas'] } };
  }

  #listing(at: Address, options: RequestOptions): { items: Stored[]; metadata: { resourceVersion: string } } {
    const selector = (options.query?.['labelSelector'] ?? '').split(',').filter((part) => part !== '');
    const items = this.all(at.collection).filter(
      ({ metadata }) =>
        (at.namespace === undefined || metadata.namespace === at.namespace) &&
        selector.every((part) => metadata.labels?.[part.split('=')[0] ?? ''] === part.split('=')[1]),
    );
    return { items, metadata: { resourceVersion: String(this.#version) } };
  }

  #patch(at: Address, body: Json): Stored {
    const found = this.#read({ ...at, subresource: undefined });
    const meta = body['metadata'] as { resourceVersion?: string; uid?: string } | undefined;
    const current = found.metadata;
    if (
      (meta?.resourceVersion !== undefined && meta.resourceVersion !== current.resourceVersion) ||
      (meta?.uid !== undefined && meta.uid !== current.uid)
    ) {
      throw new KubeError('Conflict', `${at.name ?? ''} has been modified`, { status: 409 });
    }
    const allowed = at.subresource === 'status' ? { status: body['status'] } : body;
    const merged = merge(found, allowed) as Stored;
    if (at.subresource === 'status') admitStatus(at.collection, merged);
    const changed = at.subresource !== 'status' && JSON.stringify(merged.spec) !== JSON.stringify(found.spec);
    const metadata = { ...merged.metadata, resourceVersion: this.#next(), generation: (current.generation ?? 1) + (changed ? 1 : 0) };
    const stored = { ...merged, metadata };
    this.#objects.set(keyOf(at.collection, metadata.namespace, metadata.name), stored);
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) this.#drop(at.collection, stored);
    return stored;
  }

  #next(): string {
    return String(++this.#version);
  }

  /** Creates an object as the API server does. */
  put(collection: string, namespace: string | undefined, object: Omit<Stored, 'metadata'> & { metadata: { name: string } & Json }): Stored {
    const key = keyOf(collection, namespace, object.metadata.name);
    if (this.#objects.has(key)) throw new KubeError('AlreadyExists', `${key} already exists`, { status: 409 });
    const home = namespace === undefined ? undefined : this.find('namespaces', undefined, namespace);
    if (home?.metadata.deletionTimestamp !== undefined)
      throw new KubeError('Forbidden', `namespace ${namespace ?? ''} is being terminated`, { status: 403 });
    const metadata = {
      uid: `${collection}-${object.metadata.name}-${randomUUID().slice(0, 4)}`,
      creationTimestamp: new Date(this.now).toISOString(),
      generation: 1,
      ...object.metadata,
      ...(namespace === undefined ? {} : { namespace }),
      resourceVersion: this.#next(),
    };
    const stored = structuredClone({ ...object, metadata }) as Stored;
    if (collection === 'backups' || collection === 'restores') stored.spec = { ...DEFAULTS[collection], ...stored.spec };
    this.#objects.set(key, stored);
    return stored;
  }

  remove(
    collection: string,
    namespace: string | undefined,
    name: string,
    options: { propagationPolicy?: string; preconditions?: { uid?: string } } = {},
  ): void {
    const found = this.find(collection, namespace, name);
    if (found === undefined) throw new KubeError('NotFound', `${collection} ${name} not found`, { status: 404 });
    if (options.preconditions?.uid !== undefined && options.preconditions.uid !== found.metadata.uid)
      throw new KubeError('Conflict', 'another uid', { status: 409 });
    const foreground = collection === 'jobs' && options.propagationPolicy === 'Foreground';
    const finalizers = [...(found.metadata.finalizers ?? []), ...(foreground ? ['foregroundDeletion'] : [])];
    if (finalizers.length === 0) {
      this.#drop(collection, found);
      return;
    }
    const metadata = {
      ...found.metadata,
      finalizers: [...new Set(finalizers)],
      deletionTimestamp: found.metadata.deletionTimestamp ?? new Date(this.now).toISOString(),
      resourceVersion: this.#next(),
    };
    this.#objects.set(keyOf(collection, namespace, name), { ...found, metadata });
  }

  #drop(collection: string, object: Stored): void {
    this.#objects.delete(keyOf(collection, object.metadata.namespace, object.metadata.name));
  }

  find(collection: string, namespace: string | undefined, name: string): Stored | undefined {
    return this.#objects.get(keyOf(collection, namespace, name));
  }

  all(collection: string): Stored[] {
    return [...this.#objects].filter(([key]) => key.startsWith(`${collection}|`)).map(([, object]) => object);
  }

  /** Changes an object as somebody else would: a kubelet, a person, another controller. */
  change(collection: string, namespace: string | undefined, name: string, patch: Json): void {
    const found = this.find(collection, namespace, name);
    if (found === undefined) throw new Error(`${collection} ${name} is not there`);
    const merged = merge(found, patch) as Stored;
    this.#objects.set(keyOf(collection, namespace, name), { ...merged, metadata: { ...merged.metadata, resourceVersion: this.#next() } });
  }

  #leave(collection: string, object: Stored): void {
    const { name, namespace, deletionTimestamp } = object.metadata;
    if (collection !== 'pods' || !this.stuckNodes.has(String(object.spec?.['nodeName']))) this.#drop(collection, object);
    else if (deletionTimestamp === undefined) this.change('pods', namespace, name, { metadata: { deletionTimestamp: new Date(this.now + 30_000).toISOString() } });
  }

  /** What the garbage collector does: dependents of owners that are gone go, or are no longer theirs where others are left, and Jobs whose foreground deletion waits for pods. */
  collectGarbage(): void {
    const uids = new Set([...this.#objects.values()].map(({ metadata }) => metadata.uid));
    for (const collection of ['jobs', 'secrets', 'pods']) {
      for (const object of this.all(collection)) {
        const owners = object.metadata.ownerReferences ?? [];
        const jobLeaves =
          collection === 'pods' &&
          owners.some(({ uid }) => this.all('jobs').some((job) => job.metadata.uid === uid && job.metadata.deletionTimestamp !== undefined));
        const isGoing = (owners.length > 0 && owners.every(({ uid }) => !uids.has(uid))) || jobLeaves || (collection === 'pods' && object.metadata.deletionTimestamp !== undefined);
        const { name, namespace } = object.metadata;
        const left = owners.filter(({ uid }) => uids.has(uid));
        if (isGoing) this.#leave(collection, object);
        else if (left.length < owners.length) this.change(collection, namespace, name, { metadata: { ownerReferences: left } });
      }
    }
    for (const job of this.all('jobs')) {
      if (
        job.metadata.deletionTimestamp !== undefined &&
        !this.all('pods').some((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true)
      )
        this.#drop('jobs', job);
    }
  }

  /** What the caches show of each collection that was let fall behind, and the version of that; of the others they show what is. */
  readonly #seen = new Map<string, { readonly version: number; readonly objects: Map<string, Stored> }>();

  /** From now on until it catches up, the caches show this collection as it is now, and what was remembered since. */
  fallBehind(collection: string): void {
    const objects = new Map(this.all(collection).map((object) => [keyOf(collection, object.metadata.namespace, object.metadata.name), object]));
    this.#seen.set(collection, { version: this.#version, objects });
  }

  catchUp(collection: string): void {
    this.#seen.delete(collection);
  }

  #remember(collection: string, object: Stored): void {
    const seen = this.#seen.get(collection);
    const key = keyOf(collection, object.metadata.namespace, object.metadata.name);
    if (seen !== undefined && Number(seen.objects.get(key)?.metadata.resourceVersion ?? seen.version) < Number(object.metadata.resourceVersion)) seen.objects.set(key, object);
  }

  #forget(collection: string, { metadata }: KubeObject): void {
    const objects = this.#seen.get(collection)?.objects;
    const key = keyOf(collection, metadata.namespace, metadata.name);
    if (objects?.get(key)?.metadata.uid === metadata.uid) objects.delete(key);
  }

  /** A cache that is behind only where it was let fall behind. */
  cache<T extends KubeObject>(
    collection: string,
    indexes: Readonly<Record<string, (object: T) => readonly string[]>> = {},
    wanted: (object: T) => boolean = () => true,
  ): Cache<T> {
    const seen = () => [...(this.#seen.get(collection)?.objects.values() ?? this.all(collection))] as unknown as T[];
    const list = () => seen().filter(wanted).map((object) => structuredClone(object));
    return {
      get: (name, namespace) => list().find(({ metadata }) => metadata.name === name && metadata.namespace === namespace),
      list,
      byIndex: (index, value) => list().filter((object) => indexes[index]?.(object).includes(value)),
      countOf: (index, value) => list().filter((object) => indexes[index]?.(object).includes(value)).length,
      remember: (object) => this.#remember(collection, structuredClone(object)),
      forget: (object) => this.#forget(collection, object),
      absent: false,
    };
  }
}

/** What the CRDs' defaults add. */
const DEFAULTS: Readonly<Record<string, Json>> = {
  backups: { trigger: 'Manual', hold: false, cancel: false },
  restores: { target: { type: 'InPlace' }, extraFiles: 'Delete', safetyBackup: 'Required', cancel: false },
};

/** Refuses what the CRD's schema does: a status that is too long or of another form is never written, however often it is tried. */
function admitStatus(collection: string, { status }: Stored): void {
  const parsed = kinds.find(({ plural }) => plural === collection)?.status.safeParse(status);
  if (parsed?.success === false) throw new KubeError('Invalid', `${collection}: ${parsed.error.message}`, { status: 422 });
}

function keyOf(collection: string, namespace: string | undefined, name: string): string {
  return `${collection}|${namespace ?? ''}|${name}`;
}

function addressOf(path: string): Address {
  const parts = path.split('/').slice(1);
  const rest = parts[0] === 'api' ? parts.slice(2) : parts.slice(3);
  if (rest[0] === 'namespaces' && rest.length > 2) return { namespace: rest[1], collection: rest[2] ?? '', name: rest[3], subresource: rest[4] };
  return { namespace: undefined, collection: rest[0] ?? '', name: rest[1], subresource: rest[2] };
}

function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Json = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...(target as Json) } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, key);
    else if (value !== undefined) result[key] = merge(result[key], value);
  }
  return result;
}

function kubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'fake', server: 'http://fake.invalid', skipTLSVerify: true }, { name: 'nobody' });
  return config;
}
