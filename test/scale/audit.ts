// What the operator asked of the API server, from the server's own audit records.
import { createReadStream, statSync } from 'node:fs';
import { createInterface } from 'node:readline';

interface AuditEvent {
  readonly verb: string;
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
}

export interface Requests {
  /** By `verb resource` or `verb resource/subresource`; those for the leader's lease and watches are left out. */
  readonly counts: ReadonlyMap<string, number>;
  readonly total: number;
  readonly writes: number;
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

export class AuditReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** To count from here on later. */
  mark(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
  }

  async since(mark: number): Promise<Requests> {
    const counts = new Map<string, number>();
    for await (const line of createInterface({ input: createReadStream(this.#file, { start: mark }) })) {
      const event = parse(line);
      if (event === undefined || event.verb === 'watch') continue;
      const { resource = '', subresource } = event.objectRef ?? {};
      if (resource === 'leases') continue;
      const what = `${event.verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    const sum = (wanted: (verb: string) => boolean): number => [...counts].reduce((total, [what, count]) => total + (wanted(what.split(' ')[0] ?? '') ? count : 0), 0);
    return { counts, total: sum(() => true), writes: sum((verb) => WRITES.has(verb)) };
  }
}

/** The last line may be half written. */
function parse(line: string): AuditEvent | undefined {
  try {
    return JSON.parse(line) as AuditEvent;
  } catch {
    return undefined;
  }
}
