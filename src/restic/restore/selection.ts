import type { RestoreRequest } from '../contract.ts';
import type { ByteString } from '../format/index.ts';
import { compileGlobs } from '../fs/index.ts';

/** What of a snapshot is restored, by the path that the snapshot shows. What is excluded stays out even where it is included. */
export interface Selection {
  isSelected(location: ByteString): boolean;
  /** Whether something below a directory may be selected. */
  mayBeSelectedBelow(location: ByteString): boolean;
}

export function selectionOf({ includes = [], excludes = [] }: Pick<RestoreRequest, 'includes' | 'excludes'>): Selection {
  const include = compileGlobs(includes);
  const exclude = compileGlobs(excludes);
  if (include.isEmpty && exclude.isEmpty) return { isSelected: () => true, mayBeSelectedBelow: () => true };
  return {
    isSelected: (location) => (include.isEmpty || include.matches(location)) && !exclude.matches(location),
    mayBeSelectedBelow: (location) => (include.isEmpty || include.matches(location) || include.mayMatchBelow(location)) && !exclude.matches(location),
  };
}
