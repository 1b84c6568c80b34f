import { firstKey, type ObjectStore } from '../../storage/index.ts';
import { EngineError } from '../errors.ts';

/** Whoever writes a repository puts `config` before anything into these; a `copy` does so, too. Only an import puts it last. */
const afterConfig = ['snapshots/', 'index/', 'data/', 'manifests/', 'exports/'] as const;

/** An object of a repository that cannot be there before its `config` is; `undefined` where there is none. */
export async function contentOfRepository(store: ObjectStore, signal: AbortSignal | undefined): Promise<string | undefined> {
  const found = await Promise.all(afterConfig.map((folder) => firstKey(store, folder, { signal })));
  return found.find((key) => key !== undefined);
}

/** A new `config` would belong to another repository, and hide that this one can still be mended. */
export function lostConfig({ location }: ObjectStore, content: string): EngineError {
  return new EngineError(
    'Damaged',
    `The repository at ${location} has lost its config: ${content} is there, and no config. Nothing was written. Bring config back from another copy of it (the second data center, a copy, ` +
      `a file that export made, unpacked): \`copy --from THE_OTHER --to THIS\` does so. Where an import into this place was cut short, or is under way, wait for it or import anew into an empty place`,
    { context: { location, content } },
  );
}

/** What an `init` with another key left when it was cut short looks the same as a repository that lost all but its keys. */
export function foreignKeyFile({ location }: ObjectStore, keyFile: string): EngineError {
  return new EngineError(
    'WrongKey',
    `The key does not open ${keyFile} at ${location}, where no config lies. Nothing was written. Either another init is under way, or was cut short: give it the key that it had, and it goes on. ` +
      'Or a repository lost its config: bring that back from another copy. Where no backup was ever made at this place, remove the folder keys/ and run init again, or choose an empty place',
    { context: { location, keyFile } },
  );
}
