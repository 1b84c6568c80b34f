import { Writable } from 'node:stream';

/** Bytes of a command's output that may reach a status. */
const KEPT = 1024;

/** What looks like a password in what a command printed. Best effort: commands should not print any. */
const SECRETS: readonly [RegExp, string][] = [
  [/(:\/\/[^\s:@/]*:)[^\s@/]+@/g, '$1***@'],
  [/((?:password|passwd|pwd|secret|token|apikey|api_key|access_key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|\S+)/gi, '$1***'],
  [/((?:authorization|bearer)["']?[:\s]\s*)\S+(?:\s+\S+)?/gi, '$1***'],
];

/** Takes any amount of output and keeps its end: at most 1 KiB, printable, with what looks like a secret masked. */
export class OutputTail extends Writable {
  #kept = Buffer.alloc(0);
  #isCut = false;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const all = Buffer.concat([this.#kept, chunk.subarray(Math.max(0, chunk.length - 4 * KEPT))]);
    this.#isCut ||= chunk.length > 4 * KEPT || all.length > 4 * KEPT;
    // More than is shown is kept, so that a secret that the cut goes through is still known as one.
    this.#kept = Buffer.from(all.subarray(Math.max(0, all.length - 4 * KEPT)));
    done();
  }

  /** The lines joined by ` | `; empty when nothing was printed. */
  get text(): string {
    const masked = SECRETS.reduce((text, [pattern, mask]) => text.replace(pattern, mask), this.#kept.toString('utf8'));
    const lines = masked
      .split(/\r?\n/)
      .map((line) => line.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, ' ').trim())
      .filter((line) => line !== '');
    const joined = lines.join(' | ');
    const bytes = Buffer.from(joined);
    if (bytes.length <= KEPT) return this.#isCut ? `… ${joined}`.slice(0, KEPT) : joined;
    return `… ${bytes.subarray(bytes.length - KEPT + 8).toString('utf8').replace(/^\uFFFD+/, '')}`;
  }
}
