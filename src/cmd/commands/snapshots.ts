import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { printable } from '../../mover/printable.ts';
import { withRepository } from '../repository-access.ts';
import { formatTable } from '../table.ts';
import { wallTime } from '../time-text.ts';

/** `tenant-backup snapshots`: every snapshot, oldest first. */
export async function snapshots(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(RepositoryOptions, given);
  const output = outputFor(options, context);
  const found = await withRepository(options, context, ({ engine, repository }) => engine.listSnapshots(repository, context.signal));
  const sorted = found.toSorted((one, other) => Date.parse(one.time) - Date.parse(other.time));
  if (output.json) {
    for (const snapshot of sorted) output.print({ type: 'snapshot', ...snapshot }, '');
    return EXIT.done;
  }
  const rows = sorted.map(({ id, time, hostname, tags, paths }) => [id.slice(0, 8), wallTime(time), hostname, tags.join(','), paths.join(' ')].map(printable));
  output.print({ type: 'snapshots' }, rows.length === 0 ? 'no snapshots' : formatTable(['ID', 'Time', 'Host', 'Tags', 'Paths'], rows));
  return EXIT.done;
}
