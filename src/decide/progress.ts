import type { TransferProgress } from '../api/index.ts';
import { displayTime } from './display.ts';
import type { SpokenFacts, SpokenProgress } from './observed.ts';

/** A mover's last line as a status shows it, with the share and the time that is left at the speed so far. */
export function transferProgress(spoken: SpokenProgress | undefined, startedAt: number): TransferProgress | undefined {
  if (spoken === undefined) return undefined;
  const { filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded, at } = spoken;
  const elapsed = Math.max(0, at - startedAt) / 1000;
  const known = bytesTotal !== undefined && bytesTotal > 0;
  const left = known && bytesDone > 0 ? Math.round((elapsed * Math.max(0, bytesTotal - bytesDone)) / bytesDone) : undefined;
  return {
    ...(known ? { percent: Math.min(100, Math.floor((bytesDone / bytesTotal) * 100)) } : {}),
    filesDone,
    ...(filesTotal === undefined ? {} : { filesTotal }),
    bytesDone,
    ...(bytesTotal === undefined ? {} : { bytesTotal }),
    bytesAdded,
    ...(left === undefined ? {} : { etaSeconds: left }),
    updatedAt: displayTime(at),
  };
}

/** What several movers of one Job said last, counted together; totals are known to none of them. */
export function spokenTogether(all: readonly SpokenFacts[]): SpokenFacts {
  const said = all.flatMap(({ progress }) => progress ?? []);
  const sum = (count: (progress: SpokenProgress) => number): number => said.reduce((total, progress) => total + count(progress), 0);
  return {
    progress: said.length === 0 ? undefined : { filesDone: sum(({ filesDone }) => filesDone), bytesDone: sum(({ bytesDone }) => bytesDone), bytesAdded: sum(({ bytesAdded }) => bytesAdded), at: Math.max(...said.map(({ at }) => at)) },
    trouble: all.find(({ trouble }) => trouble !== undefined)?.trouble,
  };
}
