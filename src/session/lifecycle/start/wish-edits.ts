/**
 * Whose the wishes in an issue's description are (pure). Anyone who may see an issue may edit it; what they write there chooses
 * nothing unless they may give work. What the description wished for before is kept until somebody who may has changed it.
 */
import { type Access, refusalOf } from '../model/admission.ts';
import type { Person } from '../model/directives.ts';

/** A change of the wishes in a description: whose it is, and what they were before, as `wishesIn` writes them. */
export interface WishEdit {
  by: Person;
  was: string;
}

/** So many are kept; of what is older nobody is taken to have been allowed. */
const MAX_EDITS = 10;

/** Adds an edit to those that are known, oldest first. */
export function withWishEdit(edits: readonly WishEdit[], edit: WishEdit): WishEdit[] {
  const [first, second, ...rest] = edits;
  if (edits.length < MAX_EDITS || !first || !second) return [...edits, edit];
  return [{ ...second, was: first.was }, ...rest, edit];
}

/**
 * The description as far as its wishes count: as it reads now, or, where it was changed last by somebody who may not give
 * work, its wishes as they were before that.
 * @returns `ignored`: who wrote what does not count; null: all of it does
 */
export function vouchedDescription(
  description: string,
  edits: readonly WishEdit[],
  access: Access,
): { text: string; ignored: Person | null } {
  let text = description;
  let ignored: Person | null = null;
  for (const { by, was } of edits.toReversed()) {
    if (refusalOf(access, by) === null) break;
    ignored ??= by;
    text = was;
  }
  return { text, ignored };
}
