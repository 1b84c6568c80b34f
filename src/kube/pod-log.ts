import type { KubeConnection, Query } from './connection.ts';
import { objectPath, resourceTypes } from './resource-type.ts';

export interface LoggingContainer {
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
}

/** Of what was printed before somebody listens only the end is told. */
const TAIL_LINES = 200;

/** The lines of a container's log, each after its time (RFC 3339) and a space: the last ones that are there, then what comes until the container ends or the signal fires. */
export function followLog(connection: KubeConnection, pod: LoggingContainer, signal: AbortSignal): AsyncIterable<string> {
  return lines(connection, pod, { follow: 'true', tailLines: String(TAIL_LINES) }, signal);
}

/** The lines of the last `seconds`, by the clock of the node, as they are now; each after its time and a space. */
export function readLog(connection: KubeConnection, pod: LoggingContainer, seconds: number, signal: AbortSignal): AsyncIterable<string> {
  return lines(connection, pod, { sinceSeconds: String(seconds) }, signal);
}

function lines(connection: KubeConnection, { namespace, name, container }: LoggingContainer, query: Query, signal: AbortSignal): AsyncIterable<string> {
  return connection.lines(`${objectPath(resourceTypes.pods, name, namespace)}/log`, { query: { ...query, container, timestamps: 'true' }, signal });
}
