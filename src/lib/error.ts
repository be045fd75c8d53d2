/** What was thrown, which can be anything, made into what can be worked with. */

/** As an Error: the log takes errors. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Its message; of what is no Error, the text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
