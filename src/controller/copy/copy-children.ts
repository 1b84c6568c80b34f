import type { CopyObject } from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type KubeConnection, type ResourceType } from '../../kube/index.ts';

const TYPES = {
  snapshot: resourceTypes.volumeSnapshots,
  content: resourceTypes.volumeSnapshotContents,
  claim: resourceTypes.persistentVolumeClaims,
  group: resourceTypes.volumeGroupSnapshots,
  label: resourceTypes.persistentVolumeClaims,
} as const satisfies Record<CopyObject['kind'], ResourceType>;

/**
 * Makes an object of a copy; one of that name was made before a crash, or the cache does not show it yet.
 * @returns what the API server has against it, which a person has to mend
 */
export async function makeCopy(connection: KubeConnection, { kind, manifest }: CopyObject, signal: AbortSignal): Promise<string | undefined> {
  const client = new ResourceClient(connection, TYPES[kind]);
  const { name, namespace, labels } = manifest.metadata;
  try {
    if (kind === 'label') await client.patch(name, namespace, { metadata: { labels } }, { signal });
    else await client.create(manifest, signal);
    return undefined;
  } catch (error) {
    if (isKubeError(error, 'AlreadyExists')) return undefined;
    if (isKubeError(error, 'Forbidden') || isKubeError(error, 'Invalid') || isKubeError(error, 'NotFound')) return error.message;
    throw error;
  }
}
