import { constants } from 'node:os';

/** A system call that failed, shaped like Node's own file errors so that callers can treat both alike. */
export class LibcError extends Error {
  /** e.g. `ENOENT` */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, what: string) {
    const code = nameOfErrno(errno);
    super(`${code}: ${syscall} '${what}'`);
    this.name = 'LibcError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

function nameOfErrno(errno: number): string {
  for (const [name, value] of Object.entries(constants.errno)) {
    if (value === errno) return name;
  }
  return `E${String(errno)}`;
}

/** The `code` of a system error, Node's or ours; `undefined` for anything else. */
export function errnoCodeOf(error: unknown): string | undefined {
  // `instanceof` would miss errors of another realm, such as Node's own within a vm context.
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
