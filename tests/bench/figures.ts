/** Figures of a benchmark: percentiles, medians, and the verdict that decides the exit code. */

/** The value below which the share `p` (0 to 1) of the sorted values lies. */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * p) - 1)] ?? Number.NaN;
}

export function median(values: number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

/** Rounded for people. */
export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/** A bar: what is promised, what was measured, and whether it holds. */
export interface Bar {
  bar: string;
  measured: number;
  holds: boolean;
}

/** Prints the figures as the last line and sets the exit code. */
export function conclude(figures: object, bars: Bar[]): void {
  const missed = bars.filter((bar) => !bar.holds);
  for (const { bar, measured } of missed) console.error(`missed: ${bar} (measured ${measured})`);
  console.log(JSON.stringify({ ...figures, bars, ok: missed.length === 0 }));
  if (missed.length > 0) process.exitCode = 1;
}
