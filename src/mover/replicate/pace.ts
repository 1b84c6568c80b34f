import { setTimeout as sleep } from 'node:timers/promises';

/** Lets so many bytes a second through, measured over all who ask; a large object is paid for after it. */
export function paceOf(bytesPerSecond: number | undefined, now: () => number, signal: AbortSignal): (bytes: number) => Promise<void> {
  if (bytesPerSecond === undefined) return () => Promise.resolve();
  let paidUntil = now();
  return async (bytes) => {
    paidUntil = Math.max(paidUntil, now()) + (bytes / bytesPerSecond) * 1000;
    const wait = paidUntil - now();
    if (wait > 0) await sleep(wait, undefined, { signal });
  };
}
