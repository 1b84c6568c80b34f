import { readFileSync } from 'node:fs';

/** Names of user and group ids; empty where there is none. */
export interface OwnerNames {
  user(id: number): string;
  group(id: number): string;
}

/** Reads the machine's own lists once, as a static restic does; directories such as LDAP are not asked. */
export function readOwnerNames(passwd = '/etc/passwd', group = '/etc/group'): OwnerNames {
  const users = namesById(passwd);
  const groups = namesById(group);
  return { user: (id) => users.get(id) ?? '', group: (id) => groups.get(id) ?? '' };
}

function namesById(file: string): Map<number, string> {
  const names = new Map<number, string>();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return names; // A minimal image has no such file; ids alone are enough to restore.
  }
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name === undefined || id === undefined || !/^\d+$/.test(id)) continue;
    if (!names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}
