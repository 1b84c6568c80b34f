// What a backup by way of copies may leave: looked for in the cluster and at the storage driver.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { environment, kubectl, waitFor } from './cluster.ts';

/** What the ground's storage driver holds, as `shelf/id`; empty on a cluster whose driver is not ours. */
export function heldByDriver(): readonly string[] {
  const directory = environment()['CSI_DIRECTORY'] ?? '';
  if (directory === '' || !existsSync(directory)) return [];
  return ['volumes', 'snapshots', 'groups', 'drafts'].flatMap((shelf) => readdirSync(join(directory, shelf)).map((id) => `${shelf}/${id}`));
}

export interface LeftoversOptions {
  /** The customer's. */
  readonly namespace: string;
  readonly moverNamespace: string;
  /** What the driver held before. */
  readonly atRest: readonly string[];
  /** Done before each look. */
  readonly nudge?: () => Promise<unknown>;
}

/** Everything of copies and movers that is there. */
async function leftovers({ namespace, moverNamespace, atRest }: LeftoversOptions): Promise<string[]> {
  const named = async (kinds: string, ...more: string[]): Promise<string[]> => {
    const names = await kubectl(['get', kinds, ...more, '--ignore-not-found', '-o', 'jsonpath={range .items[*]}{.kind}/{.metadata.name}/{.spec.claimRef.name}{.spec.volumeSnapshotRef.name}{.spec.volumeGroupSnapshotRef.name} {end}']);
    return names.split(/\s+/).filter((name) => name !== '');
  };
  const isCopy = (name: string): boolean => name.includes('/tbmover-') || name.includes('/snapshot-');
  const copies = (await named('volumesnapshots,volumegroupsnapshots,pvc', '-A')).filter(isCopy);
  const global = (await named('volumesnapshotcontents,volumegroupsnapshotcontents,pv')).filter(isCopy);
  const movers = await named('jobs,secrets,pods', '-n', moverNamespace);
  const labels = (await kubectl(['get', 'pvc', '-n', namespace, '-o', 'jsonpath={.items[*].metadata.labels}'])).includes('backup.dupp.de/group-') ? ['label of a group'] : [];
  return [...copies, ...global, ...movers, ...labels, ...heldByDriver().filter((each) => !atRest.includes(each))];
}

/** @throws {Error} that names what is left after a minute and a half */
export async function nothingIsLeft(options: LeftoversOptions): Promise<void> {
  let last: string[] = [];
  try {
    await waitFor('nothing to be left', 90, async () => {
      await options.nudge?.();
      last = await leftovers(options);
      return last.length === 0;
    });
  } catch (error) {
    throw new Error(`left over: ${last.join(', ')}`, { cause: error });
  }
}
