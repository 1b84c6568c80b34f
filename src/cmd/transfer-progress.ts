import type { Progress } from '../restic/contract.ts';

/** What export, import and copy tell of their work, as the progress display takes it. */
export function transferProgress(progress: {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly objectsDone?: number;
  readonly objectsTotal?: number;
}): Progress {
  const { bytesDone, bytesTotal, objectsDone = 0, objectsTotal } = progress;
  return { unit: 'object', filesDone: objectsDone, bytesDone, bytesTotal, bytesAdded: bytesDone, ...(objectsTotal === undefined ? {} : { filesTotal: objectsTotal }) };
}
