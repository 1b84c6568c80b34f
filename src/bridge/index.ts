/**
 * The stream bridge, the second container of a mover's pod that reads streams. It may run commands in a customer's pods and knows no key and no
 * bucket; the mover beside it knows those and has no right in Kubernetes. All that passes between them is the bytes, through a socket in a directory of the pod.
 */
export { serveStreams, type BridgeServer, type RunCommand } from './serve-streams.ts';
