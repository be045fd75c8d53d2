/** One JSON object a line on stdout, for whatever collects logs. Callers pass no tokens, prompts or file contents. */

export type LogLevel = 'info' | 'warning' | 'error';

/**
 * Writes a line.
 * @param message what happened, in words
 * @param fields details; an `Error` is written as its message
 */
export function log(level: LogLevel, message: string, fields: Record<string, unknown> = {}): void {
  const plain = Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value]),
  );
  process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), level, message, ...plain })}\n`);
}
