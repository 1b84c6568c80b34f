import { EngineError } from '../restic/errors.ts';
import { printable } from './tar/header.ts';
import type { TarMember } from './tar/index-of-tar.ts';

const MIB = 1024 * 1024;

/** What may be in a downloaded file, and how large each may be. Names outside of this list are refused, `..` among them. */
const ALLOWED: readonly { readonly pattern: RegExp; readonly maxSize: number }[] = [
  { pattern: /^config$/, maxSize: MIB },
  { pattern: /^keys\/[0-9a-f]{64}$/, maxSize: MIB },
  { pattern: /^wrappings\/[0-9a-f]{64}\.json$/, maxSize: MIB },
  { pattern: /^snapshots\/[0-9a-f]{64}$/, maxSize: 16 * MIB },
  { pattern: /^index\/[0-9a-f]{64}$/, maxSize: 1024 * MIB },
  { pattern: /^data\/([0-9a-f]{2})\/\1[0-9a-f]{62}$/, maxSize: 256 * MIB },
];
const README = 'README.txt';

/** What will be put where, in this order; `config` comes last, for without it there is no repository. */
export interface ImportPlan {
  readonly snapshot: string;
  readonly members: readonly TarMember[];
  /** bytes */
  readonly size: number;
}

/**
 * Decides from the names and sizes alone whether a file is a backup of one snapshot.
 * @throws {EngineError} `Damaged`, in words.
 */
export function planImport(members: readonly TarMember[]): ImportPlan {
  const wanted = members.filter(({ name }) => name !== README);
  for (const member of wanted) refuseUnknown(member);
  const [snapshot, ...more] = wanted.filter(({ name }) => name.startsWith('snapshots/'));
  if (snapshot === undefined) throw refused('there is no snapshot in it');
  if (more.length > 0) throw refused(`there are ${more.length + 1} snapshots in it instead of one`);
  for (const part of ['config', 'keys/', 'index/']) {
    if (!wanted.some(({ name }) => name.startsWith(part))) throw refused(`there is no ${part.replace('/', '')} in it`);
  }
  return {
    snapshot: snapshot.name.slice('snapshots/'.length),
    members: wanted.toSorted((a, b) => rank(a.name) - rank(b.name)),
    size: wanted.reduce((sum, { size }) => sum + size, 0),
  };
}

/** A file that came here damaged is whole where it came from: advice about mending a repository would lead astray. */
export function refused(reason: string, cause?: unknown): EngineError {
  return new EngineError('Damaged', `this file is not an intact backup of ours: ${reason}. Nothing was kept of it. Download or export it again, and compare its size with what that said`, { cause });
}

function refuseUnknown({ name, size }: TarMember): void {
  const rule = ALLOWED.find(({ pattern }) => pattern.test(name));
  if (rule === undefined) throw refused(`${printable(name)} does not belong into a backup`);
  if (size > rule.maxSize) throw refused(`${printable(name)} claims ${size} bytes, more than such a file can have`);
}

/** Packs, index, snapshot, keys and wrappings, config. */
function rank(name: string): number {
  return ['data/', 'index/', 'snapshots/', 'wrappings/', 'keys/', 'config'].findIndex((part) => name.startsWith(part));
}
