import { textOf, type ByteString } from '../format/index.ts';
import { errnoCodeOf } from '../fs/index.ts';
import type { BatchContext } from './batch-context.ts';
import type { FileState } from './file-state.ts';
import { finishDirectories, missed, type FinishedDirectory } from './finished-directory.ts';

/**
 * What waits until all content is there: further names of files, deletions (nothing is lost before everything else is there), and the directories whose
 * times those two would change.
 */
export class Endings {
  readonly #context: BatchContext;
  readonly #isDry: boolean;
  readonly #links: { readonly first: FileState; readonly path: ByteString; readonly location: ByteString }[] = [];
  readonly #extras: { readonly path: ByteString; readonly location: ByteString }[] = [];
  readonly #directories: FinishedDirectory[] = [];

  constructor(context: BatchContext, isDry: boolean) {
    this.#context = context;
    this.#isDry = isDry;
  }

  link(first: FileState, path: ByteString, location: ByteString): void {
    this.#links.push({ first, path, location });
  }

  remove(path: ByteString, location: ByteString): void {
    this.#extras.push({ path, location });
  }

  finish(directory: FinishedDirectory): void {
    this.#directories.push(directory);
  }

  run(): void {
    this.#linkAll();
    this.#removeAll();
    finishDirectories(this.#context, this.#directories);
  }

  #linkAll(): void {
    const { target, tally } = this.#context;
    for (const { first, path, location } of this.#links) {
      try {
        if (first.isFailed) {
          const message = `${textOf(location)} is another name of ${textOf(first.location)}, which could not be restored`;
          tally.missed({ path: textOf(location), kind: 'unwritable', message });
          continue;
        }
        if (!this.#isDry) target.ensureLink(first.path, path);
        tally.fileDone(0, textOf(location));
      } catch (error) {
        missed(this.#context, location, error);
      }
    }
  }

  #removeAll(): void {
    const { target, tally } = this.#context;
    for (const { path, location } of this.#extras) {
      if (this.#isDry) {
        tally.deleted++;
        continue;
      }
      try {
        tally.deleted += target.remove(path);
      } catch (error) {
        const code = errnoCodeOf(error);
        if (code === undefined) throw error;
        tally.missed({ path: textOf(location), kind: 'undeletable', message: `${textOf(location)} is not in the snapshot, but could not be removed (${code})` });
      }
    }
  }
}
