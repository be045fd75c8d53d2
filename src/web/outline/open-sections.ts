import type { Section } from './model.ts';

/**
 * Which sections stand open of themselves: the last one, and while its turn has not ended also the one before that
 * ended last, so that the latest answer is always to be seen. Returns their keys.
 */
export function openSections(sections: readonly Section[]): readonly number[] {
  const last = sections.at(-1);
  if (last === undefined) return [];
  const answered = last.ended === null ? sections.findLast((section) => section.ended !== null) : undefined;
  return answered === undefined ? [last.key] : [answered.key, last.key];
}
