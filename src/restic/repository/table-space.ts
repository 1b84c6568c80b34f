import { tmpdir } from 'node:os';
import { MappedFiles, errnoCodeOf, type Mapping } from '../fs/index.ts';
import { tableWithin } from '../memory-plan.ts';
import { memoryOfProcess } from '../pipeline/pack-size.ts';

/** What a segment of the table lies in, in a form that goes to another thread. */
export type SegmentMemory = SharedArrayBuffer | Mapping;

export interface TableSpaceOptions {
  /** Bytes of memory that a table may take. */
  readonly budget: number;
  /** Where to keep in files what is beyond; the first that will do is taken. */
  readonly directories: readonly string[];
  readonly warn: (message: string) => void;
}

/** Gives a table its segments: of memory as far as it may, then of files that the kernel pages in and out. */
export class TableSpace {
  readonly directories: readonly string[];
  readonly #budget: number;
  readonly #warn: (message: string) => void;
  #files: MappedFiles | undefined;
  #isMemoryOnly = false;

  constructor({ budget, directories, warn }: TableSpaceOptions) {
    this.#budget = budget;
    this.directories = directories;
    this.#warn = warn;
  }

  /** For this process: by its memory, and where programs leave temporary files. */
  static ofProcess(): TableSpace {
    return new TableSpace({ budget: tableWithin(memoryOfProcess()), directories: [...new Set([tmpdir(), '/var/tmp'])], warn: (message) => process.emitWarning(message) });
  }

  /** @param bytes - of all segments in memory */
  fitsIntoMemory(bytes: number): boolean {
    return this.#isMemoryOnly || bytes <= this.#budget;
  }

  /** @param inMemory - bytes of the other segments there */
  allocate(bytes: number, inMemory: number): { readonly memory: SegmentMemory; readonly buffer: ArrayBufferLike } {
    const mapped = this.fitsIntoMemory(inMemory + bytes) ? undefined : this.#map(bytes);
    if (mapped !== undefined) return { memory: { address: mapped.address, bytes }, buffer: mapped.buffer };
    const memory = new SharedArrayBuffer(bytes);
    return { memory, buffer: memory };
  }

  /** A segment that another thread has allocated. */
  open(memory: SegmentMemory): ArrayBufferLike {
    return memory instanceof SharedArrayBuffer ? memory : this.#mappedFiles().open(memory);
  }

  advise(memory: SegmentMemory, pattern: 'random' | 'scan'): void {
    if (!(memory instanceof SharedArrayBuffer)) this.#mappedFiles().advise(memory, pattern);
  }

  /** Tries each directory. Where none will do, this space is of memory alone from then on, and says so. */
  tryDirectories<T>(attempt: (directory: string) => T): T | undefined {
    const problems: string[] = [];
    for (const directory of this.directories) {
      try {
        return attempt(directory);
      } catch (error) {
        problems.push(`${directory}: ${errnoCodeOf(error) ?? String(error)}`);
      }
    }
    this.useMemoryOnly(problems.join(', '));
    return undefined;
  }

  useMemoryOnly(why: string): void {
    if (this.#isMemoryOnly) return;
    this.#isMemoryOnly = true;
    this.#warn(
      `The repository's index does not fit into ${Math.round(this.#budget / 2 ** 20)} MiB and cannot be kept in a temporary file (${why}), so it takes memory instead, and the process may be killed for it. ` +
        'Raise the memory limit, or let TMPDIR name a directory on a disk with room for some hundred bytes for each blob (ENOTSUP: it is memory itself).',
    );
  }

  #map(bytes: number): (Mapping & { readonly buffer: ArrayBuffer }) | undefined {
    return this.tryDirectories((directory) => this.#mappedFiles().make(directory, bytes));
  }

  #mappedFiles(): MappedFiles {
    return (this.#files ??= new MappedFiles());
  }
}
