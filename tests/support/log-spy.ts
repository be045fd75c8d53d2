/** What the Worker logs, whatever its level, kept instead of written. */
import { vi } from 'vitest';
import * as z from 'zod';

const lineSchema = z.string().transform((text) => z.record(z.string(), z.unknown()).parse(JSON.parse(text)));

/** @returns a mock whose calls are the lines, each an object with `event` and `level` */
export function spyOnLog() {
  const lines = vi.fn<(line: Record<string, unknown>) => void>();
  for (const name of ['log', 'warn', 'error'] as const)
    vi.spyOn(console, name).mockImplementation((text) => lines(lineSchema.parse(text)));
  return lines;
}
