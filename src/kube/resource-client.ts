import type { KubeConnection } from './connection.ts';
import { isKubeError } from './errors.ts';
import { mergePatch } from './merge-patch.ts';
import { collectionPath, objectPath, type KubeObject, type ResourceType } from './resource-type.ts';

const PAGE = 500;
/** Unknown fields are errors, not dropped: design.md, invariant 9. */
const STRICT = { fieldValidation: 'Strict' } as const;

export interface Selector {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface DeleteOptions {
  /** Only the object with this UID; another one of the same name answers `Conflict`. */
  readonly uid?: string;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly signal?: AbortSignal;
}

export interface Listing<T> {
  readonly items: T[];
  readonly resourceVersion: string;
}

/** What is sent to create an object: the server adds the rest. */
export type NewObject = { readonly metadata: { readonly name: string; readonly namespace?: string | undefined } } & Readonly<Record<string, unknown>>;

/** One kind of the API server. Every call may throw `KubeError`. */
export class ResourceClient<T extends KubeObject> {
  readonly type: ResourceType;
  readonly connection: KubeConnection;

  constructor(connection: KubeConnection, type: ResourceType) {
    this.connection = connection;
    this.type = type;
  }

  /**
   * The type in a version that the server has.
   * @throws {KubeError} `NotFound` when it has none
   */
  async servedType(signal?: AbortSignal): Promise<ResourceType> {
    if (this.type.version !== '') return this.type;
    return { ...this.type, version: await this.connection.preferredVersion(this.type.group, signal) };
  }

  /** `undefined` when there is none. Read from the API server, not from a cache. */
  async get(name: string, namespace?: string, signal?: AbortSignal): Promise<T | undefined> {
    try {
      return await this.connection.request<T>('GET', objectPath(await this.servedType(signal), name, namespace), { signal });
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** All that match. */
  async list(selector: Selector = {}, signal?: AbortSignal): Promise<Listing<T>> {
    const items: T[] = [];
    let resourceVersion = '';
    for await (const page of this.pages(selector, signal)) {
      for (const item of page.items) items.push(item);
      ({ resourceVersion } = page);
    }
    return { items, resourceVersion };
  }

  /** All that match, a page at a time; every page tells the version of the whole listing. */
  async *pages(selector: Selector = {}, signal?: AbortSignal): AsyncGenerator<Listing<T>> {
    let page: string | undefined;
    const type = await this.servedType(signal);
    for (;;) {
      const answer = await this.connection.request<{ items: T[]; metadata: { resourceVersion: string; continue?: string } }>(
        'GET',
        collectionPath(type, selector.namespace),
        {
          query: {
            limit: String(PAGE),
            continue: page,
            labelSelector: selector.labelSelector,
            fieldSelector: selector.fieldSelector,
          },
          signal,
        },
      );
      yield { items: answer.items, resourceVersion: answer.metadata.resourceVersion };
      page = answer.metadata.continue === '' ? undefined : answer.metadata.continue;
      if (page === undefined) return;
    }
  }

  async create(object: NewObject, signal?: AbortSignal): Promise<T> {
    const type = await this.servedType(signal);
    const body = this.type.version === '' ? { ...object, apiVersion: `${type.group}/${type.version}` } : object;
    return this.connection.request<T>('POST', collectionPath(type, object.metadata.namespace), { body, query: STRICT, signal });
  }

  /** RFC 7386; with `metadata.resourceVersion` in it, a change in between answers `Conflict`. */
  async patch(name: string, namespace: string | undefined, patch: unknown, options: { subresource?: 'status' | 'scale'; signal?: AbortSignal } = {}): Promise<T> {
    const path = objectPath(await this.servedType(options.signal), name, namespace) + (options.subresource ? `/${options.subresource}` : '');
    return this.connection.request<T>('PATCH', path, {
      body: patch,
      contentType: 'application/merge-patch+json',
      query: STRICT,
      signal: options.signal,
    });
  }

  /**
   * Writes `status` whole in one patch, if anything differs from what `object` has, under `object`'s resourceVersion: whoever changed it
   * in between wins, and this call answers `Conflict`.
   * @returns the object as it now stands
   */
  async writeStatus(object: T & { readonly status?: unknown }, status: unknown, signal?: AbortSignal): Promise<T> {
    const change = mergePatch(object.status ?? {}, status);
    if (change === undefined) return object;
    const { name, namespace, resourceVersion } = object.metadata;
    return this.patch(name, namespace, { metadata: { resourceVersion }, status: change }, { subresource: 'status', ...(signal ? { signal } : {}) });
  }

  /** Sets the finalizers, under the object's resourceVersion. */
  async writeFinalizers(object: T, finalizers: readonly string[], signal?: AbortSignal): Promise<T> {
    const { name, namespace, resourceVersion } = object.metadata;
    return this.patch(name, namespace, { metadata: { resourceVersion, finalizers } }, signal ? { signal } : {});
  }

  /**
   * An object that is gone already is no error.
   * @returns the object as it now stands where finalizers keep it for a while, else undefined
   */
  async delete(name: string, namespace?: string, options: DeleteOptions = {}): Promise<T | undefined> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: options.propagationPolicy ?? 'Background',
      ...(options.uid ? { preconditions: { uid: options.uid } } : {}),
    };
    try {
      const answer = await this.connection.request<{ readonly kind?: string; readonly metadata?: { readonly deletionTimestamp?: string } }>('DELETE', objectPath(await this.servedType(options.signal), name, namespace), { body, signal: options.signal });
      return answer.kind !== 'Status' && answer.metadata?.deletionTimestamp !== undefined ? (answer as T) : undefined;
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
      return undefined;
    }
  }
}
