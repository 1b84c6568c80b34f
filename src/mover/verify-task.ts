import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MoverResult, VerifyOrders } from '../api/index.ts';
import type { CheckOutcome, Progress, Repository } from '../restic/contract.ts';
import { EngineError } from '../restic/errors.ts';
import { openGeneration } from './generation-repository.ts';
import { lockOptions, type MoverWork, type TaskOutcome } from './mover-work.ts';

type Verified = NonNullable<MoverResult['verify']>;

const MOST_WARNINGS = 100;
const MOST_SNAPSHOTS = 50;
const MOST_PACKS = 100;

/**
 * Proves that what is stored can be restored: the structure of all of it, the content of one part of the packs, and some files of a snapshot, restored into
 * scratch space and compared with the trees. That something is damaged is a result, not a failure.
 */
export async function verifyTask(work: MoverWork<VerifyOrders>): Promise<TaskOutcome> {
  const repository = await openGeneration(work);
  try {
    const { checked, bytesRead } = await checkStored(work, repository);
    const trial = await tryRestore(work, repository);
    const problems = [...checked.problems.map(({ message }) => message), ...trial.problems];
    const damagedPacks = checked.problems.flatMap(({ object }) => /^data\/[0-9a-f]{2}\/([0-9a-f]{64})$/.exec(object)?.[1] ?? []);
    const affected = problems.length === 0 ? [] : await work.engine.affectedBy(repository, { packs: damagedPacks, signal: work.signal });
    const verify: Verified = {
      snapshots: checked.snapshots,
      packsChecked: checked.packsChecked,
      packsRead: checked.packsRead,
      bytesRead,
      filesCompared: trial.files,
      bytesCompared: trial.bytes,
      filesTooLarge: trial.tooLarge,
      problems: problems.length,
      damagedPacks: damagedPacks.slice(0, MOST_PACKS),
      affected: affected.slice(0, MOST_SNAPSHOTS).map(({ snapshotId, files, paths }) => ({ snapshotId, files, paths: [...paths] })),
    };
    return { verify, warnings: problems.slice(0, MOST_WARNINGS), warningCount: problems.length };
  } finally {
    await repository.close();
  }
}

async function checkStored({ orders, engine, lines, signal }: MoverWork<VerifyOrders>, repository: Repository): Promise<{ readonly checked: CheckOutcome; readonly bytesRead: number }> {
  let last: Progress | undefined;
  const checked = await engine.check(repository, {
    lock: lockOptions(orders),
    readData: { ...orders.readData, also: orders.damagedPacks },
    signal,
    onProgress: (progress) => {
      last = progress;
      lines.progress(progress);
    },
  });
  return { checked, bytesRead: last?.bytesDone ?? 0 };
}

interface Trial {
  readonly files: number;
  readonly bytes: number;
  readonly tooLarge: number;
  readonly problems: readonly string[];
}

async function tryRestore({ orders, engine, signal }: MoverWork<VerifyOrders>, repository: Repository): Promise<Trial> {
  const { sample } = orders;
  const { snapshotId: snapshot } = sample;
  const target = join(orders.scratch, 'trial');
  const say = (what: string): string => `Trial restore of Backup ${sample.backup}: ${what}`;
  try {
    const { files, tooLarge } = await engine.sampleFiles(repository, { snapshot, seed: sample.seed, count: sample.files, maxBytes: sample.bytes, signal });
    // No pattern at all would mean everything.
    if (files.length === 0) return { files: 0, bytes: 0, tooLarge, problems: [] };
    const paths = files.map(({ path }) => path);
    // An earlier try in this pod, were its container ever started again, must not make up for what this one does not restore.
    await rm(target, { recursive: true, force: true });
    const restored = await engine.restore(repository, { snapshot, target, includes: paths.map((path) => engine.literalPattern(path)), skipDamaged: true, signal });
    const compared = await engine.compareFiles(repository, { snapshot, target, paths, signal });
    const missed = restored.complete ? [] : [say(`${restored.warningCount} paths could not be restored.`)];
    return { files: compared.files, bytes: compared.bytes, tooLarge, problems: [...compared.differences.map(({ path, message }) => say(`${path}: ${message}.`)), ...missed] };
  } catch (error) {
    // What cannot be read at all is what was looked for.
    if (!(error instanceof EngineError && (error.code === 'Damaged' || error.code === 'NoSuchSnapshot'))) throw error;
    return { files: 0, bytes: 0, tooLarge: 0, problems: [say(error.message)] };
  } finally {
    await rm(target, { recursive: true, force: true });
  }
}
