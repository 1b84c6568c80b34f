// Mounts as the kernel lists them, and who uses a volume.
import { readFileSync } from 'node:fs';

export interface Mount {
  /** What is mounted: a path within its file system. */
  readonly root: string;
  /** Where. */
  readonly place: string;
}

/** The mounts that a process sees; none where it is gone. @param pid - this process where none is named */
export function mountsOf(pid: number | 'self' = 'self'): Mount[] {
  try {
    const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => {
      const [, , , root = '', place = ''] = line.split(' ');
      return { root: unescaped(root), place: unescaped(place) };
    });
  } catch {
    return [];
  }
}

/** The kernel writes blanks and backslashes in octal. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
