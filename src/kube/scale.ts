import type { KubeConnection } from './connection.ts';
import { isKubeError, KubeError } from './errors.ts';
import { objectPath, type KubeObject, type ResourceType } from './resource-type.ts';

/** Names a workload of any kind that has a `scale` subresource. */
export interface WorkloadReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

export interface ScaleObject extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly replicas?: number };
}

interface ApiResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** The `scale` subresource of workloads, whatever their kind; which plural a kind has is asked of the API server once. */
export class ScaleClient {
  readonly #connection: KubeConnection;
  readonly #discovered = new Map<string, readonly ApiResource[]>();

  constructor(connection: KubeConnection) {
    this.#connection = connection;
  }

  /**
   * `undefined` when the workload does not exist.
   * @throws {KubeError} `Invalid` for a kind that is unknown or cannot be scaled
   */
  async get(workload: WorkloadReference, namespace: string, signal?: AbortSignal): Promise<ScaleObject | undefined> {
    const type = await this.typeOf(workload, signal);
    try {
      return await this.#connection.request<ScaleObject>('GET', `${objectPath(type, workload.name, namespace)}/scale`, { signal });
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Sets the replicas of exactly the workload that `scale` was read of, unless it changed since (`Conflict`). */
  async set(workload: WorkloadReference, scale: ScaleObject, replicas: number, signal?: AbortSignal): Promise<ScaleObject> {
    const type = await this.typeOf(workload, signal);
    const { namespace, resourceVersion, uid } = scale.metadata;
    return this.#connection.request<ScaleObject>('PATCH', `${objectPath(type, workload.name, namespace)}/scale`, {
      body: { metadata: { resourceVersion, uid }, spec: { replicas } },
      contentType: 'application/merge-patch+json',
      signal,
    });
  }

  /** The API type of a workload's kind, e.g. to read the object itself. */
  async typeOf({ apiVersion, kind }: WorkloadReference, signal?: AbortSignal): Promise<ResourceType> {
    const resources = await this.#discover(apiVersion, signal);
    const found = resources.find((resource) => resource.kind === kind && !resource.name.includes('/'));
    if (found === undefined) throw new KubeError('Invalid', `the cluster knows no ${kind} in ${apiVersion}; \`kubectl api-resources\` lists what there is`);
    if (!found.namespaced || !resources.some(({ name }) => name === `${found.name}/scale`)) {
      throw new KubeError('Invalid', `a ${kind} cannot be scaled; name a workload that can, such as a StatefulSet or Deployment`);
    }
    const [group = '', version = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    return { group, version, kind, plural: found.name, namespaced: true };
  }

  async #discover(apiVersion: string, signal: AbortSignal | undefined): Promise<readonly ApiResource[]> {
    const known = this.#discovered.get(apiVersion);
    if (known) return known;
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    try {
      const { resources } = await this.#connection.request<{ resources: readonly ApiResource[] }>('GET', path, { signal });
      this.#discovered.set(apiVersion, resources);
      return resources;
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return [];
      throw error;
    }
  }
}
