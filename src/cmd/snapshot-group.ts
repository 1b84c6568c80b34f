/** Snapshots of one host and one set of paths belong together, as in restic: they are each other's parents and successors. */
export function snapshotGroup(hostname: string, paths: readonly string[]): string {
  return JSON.stringify([hostname, [...paths].sort()]);
}
