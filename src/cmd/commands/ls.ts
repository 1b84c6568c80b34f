import * as z from 'zod';
import type { LsEntry } from '../../restic/contract.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { modeText } from '../mode-text.ts';
import { outputFor } from '../output.ts';
import { printable } from '../../mover/printable.ts';
import { withRepository } from '../repository-access.ts';
import { wallTime } from '../time-text.ts';

const LsOptions = RepositoryOptions.extend({ snapshot: z.string().min(1) });

/** `tenant-backup ls`: every entry of a snapshot, as `ls -l` shows them. */
export async function ls(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(LsOptions, given);
  const output = outputFor(options, context);
  await withRepository(options, context, async ({ engine, repository }) => {
    const { id } = await engine.resolveSnapshot(repository, options.snapshot);
    for await (const entry of engine.ls(repository, id, context.signal)) {
      output.print({ ...entry, type: 'entry', kind: entry.type }, lineOf(entry));
      await output.room(context.signal);
    }
  });
  return EXIT.done;
}

function lineOf(entry: LsEntry): string {
  const size = String(entry.size ?? 0).padStart(12);
  const time = (entry.mtime === undefined ? '' : wallTime(entry.mtime)).padEnd(19);
  const link = entry.linkTarget === undefined ? '' : ` -> ${printable(entry.linkTarget)}`;
  return `${modeText(entry.type, entry.mode)} ${String(entry.uid).padStart(5)} ${String(entry.gid).padStart(5)} ${size} ${time} ${printable(entry.path)}${link}`;
}
