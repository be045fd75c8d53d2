/** What was thrown, which can be anything, made into what can be worked with. */

/** As an Error: the log takes errors. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Its message; of what is no Error, the text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Whether it is an error of this name. What a Durable Object throws to its caller arrives with its name and without its class, so what may
 * come from one is asked for its name, not by `instanceof`
 * (developers.cloudflare.com/workers/configuration/compatibility-flags, `enhanced_error_serialization`).
 */
export function isNamed(thrown: unknown, name: string): boolean {
  return thrown instanceof Error && thrown.name === name;
}

/** Whether the platform could not reach an object, so that the same call may succeed at once (developers.cloudflare.com/durable-objects/best-practices/error-handling). */
export function isObjectAway(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const { retryable, overloaded } = thrown as Error & { retryable?: unknown; overloaded?: unknown };
  return retryable === true || overloaded === true;
}
