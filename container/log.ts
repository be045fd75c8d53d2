/** One JSON object a line on stdout, for whatever collects logs. Callers pass no tokens, prompts or file contents. */

export type LogLevel = 'info' | 'warning' | 'error';

let write = (line: string): void => {
  process.stdout.write(line);
};

/** Sends the lines elsewhere, e.g. nowhere in a test. */
export function logTo(receiver: (line: string) => void): void {
  write = receiver;
}

/**
 * Writes a line.
 * @param message what happened, in words
 * @param fields details; an `Error` is written as its message
 */
export function log(level: LogLevel, message: string, fields: Record<string, unknown> = {}): void {
  const plain = Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value]),
  );
  write(`${JSON.stringify({ at: new Date().toISOString(), level, message, ...plain })}\n`);
}
