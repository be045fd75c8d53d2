/** Stored values of every released version, read as this version's. */
import * as z from 'zod';

/** Something stored, as this version knows it; or why it cannot be read, as a message. */
export type Readable<T> = { ok: true; value: T } | { ok: false; why: string };

type Stored = Record<string, unknown>;

/**
 * Leads a value that carries its `version` to the newest one.
 * @param stored as it was stored, parsed; anything
 * @param steps the nth leads from version n to n + 1, so that the newest version is one more than there are steps
 * @param name what it is, for the message: "its state"
 */
export function toNewest(
  stored: unknown,
  steps: readonly ((value: Stored) => Stored)[],
  name: string,
): Readable<Stored> {
  const parsed = z.looseObject({ version: z.int().positive() }).safeParse(stored);
  if (!parsed.success) return { ok: false, why: `${name} has no version` };
  const { version } = parsed.data;
  const newest = steps.length + 1;
  if (version > newest) {
    return { ok: false, why: `${name} has version ${version}, and this version of Cyrus reads up to ${newest}` };
  }
  // An object, for it has a version.
  let value = stored as Stored;
  for (const step of steps.slice(version - 1)) value = step(value);
  return { ok: true, value };
}
