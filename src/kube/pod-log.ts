import type { KubeConnection } from './connection.ts';
import { objectPath, resourceTypes } from './resource-type.ts';

/** The lines of a container's log from its beginning, until it ends or the signal fires. */
export function followLog(connection: KubeConnection, pod: { readonly namespace: string; readonly name: string; readonly container: string }, signal: AbortSignal): AsyncIterable<string> {
  const path = `${objectPath(resourceTypes.pods, pod.name, pod.namespace)}/log`;
  return connection.lines(path, { query: { follow: 'true', container: pod.container }, signal });
}
