const MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a stretch such as `30d`, `12h` or `90s`. The caller has checked its form. */
export function millisecondsOf(stretch: string): number {
  return Number(stretch.slice(0, -1)) * MS[stretch.slice(-1) as keyof typeof MS];
}
