import { EngineError } from '../errors.ts';
import { textOf, type Id } from '../format/index.ts';
import { failFileWithCode, type BatchContext } from './batch-context.ts';
import { finishFile, openFile } from './finish-file.ts';
import type { BlobUse, FilePart } from './file-state.ts';
import type { WriteResult } from './messages.ts';
import { plainTask } from './write-task.ts';

/**
 * A blob did not verify where it was read. It may lie in another pack too; if not, the restore ends here, or the file lacks it.
 * @throws {EngineError} `Damaged` unless damage is to be skipped
 */
export async function recoverUse(context: BatchContext, id: Id, use: BlobUse): Promise<void> {
  const { file } = use.part;
  if (file.isFailed) return;
  const plain = await loadElsewhere(context, id, use.part);
  file.left--;
  if (plain === undefined) {
    noteDamage(use, lengthOf(use));
    return;
  }
  await writePlain(context, id, use, plain);
}

/** Whether a blob that did not verify can be had from elsewhere; nothing is written. */
export async function assertRecoverable(context: BatchContext, id: Id, use: BlobUse): Promise<void> {
  await loadElsewhere(context, id, use.part);
}

/** A file that a thread was to make in one go, and did not because of a damaged blob. */
export async function rescueFile(context: BatchContext, part: FilePart): Promise<void> {
  const { file } = part;
  const good: BlobUse[] = [];
  let position = part.position;
  for (const [index, id] of part.ids.entries()) {
    const use = { part, position };
    if ((await loadElsewhere(context, id, part)) === undefined) noteDamage(use, part.lengths[index] ?? 0);
    else good.push(use);
    position += part.lengths[index] ?? 0;
  }
  file.left = 0;
  if (good.length === 0) {
    file.isFailed = true;
    const shown = textOf(file.location);
    context.tally.missed({ path: shown, kind: 'damaged', message: `${shown} is damaged in the repository and was not restored` });
    return;
  }
  openFile(context, file);
  for (const use of good) {
    const id = idAt(use);
    const plain = file.isFailed ? undefined : await loadElsewhere(context, id, part);
    if (plain !== undefined) await writePlain(context, id, use, plain);
  }
  if (!file.isFailed) finishFile(context, file);
}

async function writePlain(context: BatchContext, id: Id, use: BlobUse, plain: Uint8Array): Promise<void> {
  const { file } = use.part;
  openFile(context, file);
  if (file.isFailed) return;
  // A copy of its own, for it may be handed over to a thread.
  const result = (await context.workers.run(plainTask(context.nextTask(), use, id, Uint8Array.from(plain)), false)) as WriteResult;
  context.tally.bytesWritten += result.bytesWritten;
  file.isChanged = true;
  const [failure] = result.failures;
  if (failure !== undefined) failFileWithCode(context, file, failure.code);
}

async function loadElsewhere(context: BatchContext, id: Id, part: FilePart): Promise<Uint8Array | undefined> {
  try {
    return await context.repository.loadBlob('data', id, context.signal);
  } catch (cause) {
    if (!(cause instanceof EngineError && cause.code === 'Damaged')) throw cause;
    if (context.skipDamaged) return undefined;
    const shown = textOf(part.file.location);
    const message = `${shown} cannot be restored: ${cause.message} To restore everything else, restore again and skip what is damaged.`;
    throw new EngineError('Damaged', message, { context: { path: shown, blob: id }, cause });
  }
}

function noteDamage({ part: { file }, position }: BlobUse, length: number): void {
  file.damagedRanges.push(`${String(position)}–${String(position + length - 1)}`);
}

function lengthOf(use: BlobUse): number {
  return use.part.lengths[indexAt(use)] ?? 0;
}

function idAt(use: BlobUse): Id {
  return use.part.ids[indexAt(use)] ?? '';
}

function indexAt({ part, position }: BlobUse): number {
  let at = part.position;
  for (const [index, length] of part.lengths.entries()) {
    if (at >= position) return index;
    at += length;
  }
  return -1;
}

