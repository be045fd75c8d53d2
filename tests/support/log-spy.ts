/** What the Worker logs, whatever its level, kept instead of written. */
import { vi } from 'vitest';

/** @returns a mock whose calls are the lines, each an object with `event` and `level` */
export function spyOnLog() {
  const lines = vi.fn<(line: Record<string, unknown>) => void>();
  for (const name of ['log', 'warn', 'error'] as const) vi.spyOn(console, name).mockImplementation(lines);
  return lines;
}
