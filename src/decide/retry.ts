/** Attempts of one transfer before it is given up. */
export const MAX_ATTEMPTS = 4;
const FIRST_DELAY_MS = 10_000;
const MAX_DELAY_MS = 300_000;

/** Milliseconds to wait after attempt `attempt` (from 1) has failed: 10 s, 20 s, 40 s … at most 5 min. */
export function retryDelayMs(attempt: number): number {
  return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.max(0, attempt - 1));
}
