import * as z from 'zod';

/**
 * A number as people write it: digits alone. `Number()` takes `1e3`, `0x10`, blanks and nothing at all for numbers, and what is meant to keep 3 snapshots
 * must not keep 16.
 */
export function wholeNumber({ from, to }: { readonly from: number; readonly to: number }, words: string) {
  return z
    .string(words)
    .regex(/^(?:0|[1-9][0-9]{0,14})$/, words)
    .transform(Number)
    .refine((value) => value >= from && value <= to, words);
}
