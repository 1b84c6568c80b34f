const TYPE_LETTERS: Readonly<Record<string, string>> = {
  file: '-',
  dir: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  dev: 'b',
  chardev: 'c',
};

/** Type and permission bits as `ls -l` writes them, e.g. `-rwsr-xr-x`. `type` is a restic node's. */
export function modeText(type: string, mode: number): string {
  const bits = [
    triple(mode >> 6, (mode & 0o4000) !== 0, 's'),
    triple(mode >> 3, (mode & 0o2000) !== 0, 's'),
    triple(mode, (mode & 0o1000) !== 0, 't'),
  ];
  return (TYPE_LETTERS[type] ?? '?') + bits.join('');
}

function triple(bits: number, special: boolean, letter: string): string {
  const executable = (bits & 1) !== 0;
  const last = special ? (executable ? letter : letter.toUpperCase()) : executable ? 'x' : '-';
  return `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`;
}
