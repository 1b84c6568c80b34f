// `.cluster/env`: where everything of the ground is and how to get in, one KEY=value a line. It holds credentials, so only
// its owner may read it.
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { paths } from './layout.ts';

export type GroundEnvironment = Readonly<Record<string, string>>;

export async function writeGroundEnvironment(values: GroundEnvironment): Promise<void> {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(paths.env, lines.join(''), { mode: 0o600 });
}

/** Reads the file. @throws when no ground is up. */
export function readGroundEnvironment(): GroundEnvironment {
  if (!existsSync(paths.env)) throw new Error('no ground is up: run `make cluster-up` first');
  const lines = readFileSync(paths.env, 'utf8').split('\n').filter(Boolean);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
