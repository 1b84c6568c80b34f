import type { CopyObject } from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type KubeConnection, type KubeObject, type ResourceType } from '../../kube/index.ts';
import type { Cache } from '../caches.ts';
import type { MoverContext } from '../mover/index.ts';

type CopyCaches = Pick<MoverContext['caches'], 'snapshots' | 'snapshotContents' | 'claims' | 'groups'>;

/**
 * Makes an object of a copy; one of that name was made before a crash, or the cache does not show it yet.
 * @returns what the API server has against it, which a person has to mend
 */
export async function makeCopy({ connection, caches }: { readonly connection: KubeConnection; readonly caches: CopyCaches }, object: CopyObject, signal: AbortSignal): Promise<string | undefined> {
  try {
    switch (object.kind) {
      case 'snapshot':
        await make(connection, resourceTypes.volumeSnapshots, caches.snapshots, object, signal);
        break;
      case 'content':
        await make(connection, resourceTypes.volumeSnapshotContents, caches.snapshotContents, object, signal);
        break;
      case 'group':
        await make(connection, resourceTypes.volumeGroupSnapshots, caches.groups, object, signal);
        break;
      case 'claim':
      case 'label':
        await make(connection, resourceTypes.persistentVolumeClaims, caches.claims, object, signal);
        break;
    }
    return undefined;
  } catch (error) {
    if (isKubeError(error, 'AlreadyExists')) return undefined;
    if (isKubeError(error, 'Forbidden') || isKubeError(error, 'Invalid') || isKubeError(error, 'NotFound')) return error.message;
    throw error;
  }
}

/** What was made is remembered: the next look may come before the watch tells, and would make it again. */
async function make<T extends KubeObject>(connection: KubeConnection, type: ResourceType, cache: Cache<T>, { kind, manifest }: CopyObject, signal: AbortSignal): Promise<void> {
  const client = new ResourceClient<T>(connection, type);
  const { name, namespace, labels } = manifest.metadata;
  cache.remember(kind === 'label' ? await client.patch(name, namespace, { metadata: { labels } }, { signal }) : await client.create(manifest, signal));
}
