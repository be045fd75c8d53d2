/**
 * What Claude is to be told along with the next prompt (pure): comments beside the thread, and what was changed of the issue. What
 * supersedes itself is kept once: of many edits the newest text of each field.
 */
import { contextPrompt } from '../../claude/prompts.ts';
import { cutMarkdown } from '../../protocol/text/cut-markdown.ts';
import { cutWhole } from '../../protocol/text/sendable-text.ts';
import { comparable, spokenWords } from './model/spoken.ts';

/** A change of the text: the fields that were changed, as they read now. */
export interface Edit {
  author: string | null;
  title?: string;
  /** Null: there is none any more. */
  description?: string | null;
}

/** What somebody wrote, to tell it from what else is said: by whom, if that is known, and the words in one form. */
export interface Said {
  by: string | null;
  words: string;
}

/** `comments`: ids under which Linear knows it; `said`: what it says. Plain text: as older versions kept it. */
export type ContextItem = string | { text: string; comments: string[]; said?: Said } | { edit: Edit };

const MAX_ITEMS = 20;
/** Most of one item, in UTF-16 code units. The state is one row, which must stay small whatever people write. */
const MAX_ITEM = 10_000;
const MAX_EDIT = 60_000;

/** Adds what happened; an edit takes in the edit before it. */
export function addContext(items: readonly ContextItem[], item: ContextItem): ContextItem[] {
  const before = items.find(isEdit);
  if (isEdit(item)) {
    const edit = clipped({ ...before?.edit, ...item.edit });
    return [...items.filter((one) => one !== before), { edit }].slice(-MAX_ITEMS);
  }
  const kept = typeof item === 'string' ? clip(item, MAX_ITEM) : { ...item, text: clip(item.text, MAX_ITEM) };
  return [...items, kept].slice(-MAX_ITEMS);
}

/** Most of a comment's words that are compared, in UTF-16 code units. */
const MOST_COMPARED = 500;

/** @param by id of the person who wrote it; null: not known */
export function saidBy(by: string | null, text: string): Said {
  return { by, words: cutWhole(comparable(spokenWords(text)), MOST_COMPARED) };
}

/** Whether both are the same words of, as far as is known, the same person. */
export function isSame(one: Said, other: Said): boolean {
  const isByOther = one.by !== null && other.by !== null && one.by !== other.by;
  return !isByOther && one.words !== '' && one.words === other.words;
}

/** The items that a prompt does not say itself. @param prompt the comment that it is; without an id its words tell */
export function contextBeside(
  items: readonly ContextItem[],
  prompt: { commentId: string } | { said: Said },
): ContextItem[] {
  return items.filter((item) => {
    if (typeof item === 'string' || isEdit(item)) return true;
    if ('commentId' in prompt) return !item.comments.includes(prompt.commentId);
    return item.said === undefined || !isSame(item.said, prompt.said);
  });
}

/** What Claude reads of an item. */
export function contextText(item: ContextItem): string {
  if (typeof item === 'string') return item;
  return isEdit(item) ? editText(item.edit) : item.text;
}

export function isEdit(item: ContextItem): item is { edit: Edit } {
  return typeof item !== 'string' && 'edit' in item;
}

function editText({ author, title, description }: Edit): string {
  const parts = [
    ...(title === undefined ? [] : [`The title now reads: ${title}`]),
    ...(description === undefined
      ? []
      : [`The description now reads:\n\n${description?.trim() || '(no description)'}`]),
  ];
  return contextPrompt(`${author ?? 'Someone'} changed the issue while you were working`, parts.join('\n\n'));
}

function clipped(edit: Edit): Edit {
  const { title, description } = edit;
  return {
    ...edit,
    ...(title !== undefined && { title: clip(title, MAX_ITEM) }),
    ...(description && { description: clip(description, MAX_EDIT) }),
  };
}

function clip(text: string, max: number): string {
  return text.length <= max ? text : `${cutMarkdown(text, max)}\n\n[Cut here: ${text.length - max} more characters.]`;
}
