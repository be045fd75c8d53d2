/**
 * Whether Claude's API still takes a conversation. Every request sends all of it, so what is wrong in it fails the same way forever;
 * another conversation goes on from a summary. Texts and codes measured with CLI 2.1.330. Pure.
 */
import { ownValue } from '../lib/own-value.ts';
import type { JournalBody } from '../protocol/journal.ts';

type Result = Extract<JournalBody, { kind: 'result' }>;

/**
 * - `broken`: its record is no longer one that the API reads, e.g. a tool call without its result.
 * - `full`: it is longer than Claude can read, and cannot be compacted.
 * - `refused`: the API refuses what is in it.
 */
export type HistoryTrouble = 'broken' | 'full' | 'refused';

const BY_CODE: Partial<Record<string, HistoryTrouble>> = {
  tool_history_mismatch: 'broken',
  malformed_tool_use_exhausted: 'broken',
  prompt_too_long: 'full',
  blocking_limit: 'full',
  rapid_refill_breaker: 'full',
  autocompact_thrashing: 'full',
  message_over_context_limit: 'full',
  request_too_large: 'full',
  long_context_credits_required: 'full',
  dlp_request_denied: 'refused',
  safety_monitor_blocked: 'refused',
};

/** A 400 that names a message of the conversation as its cause; nothing is wrong with the request as such. */
const IN_A_MESSAGE = /^API Error: 400 messages(\.\d+|:)/;
/** The request is longer than the model reads, where the CLI gives no code of its own for it (docs.claude.com/en/api/errors). */
const TOO_LONG =
  /prompt is too long|exceed(?:s|ed)? (?:the )?(?:model'?s )?(?:maximum )?context (?:limit|window|length)|reached its context window|extra usage is required for long context/i;
const REFUSED = /content filtering policy|usage policy|acceptable use/i;

/** @returns null if the conversation is not the cause, also if nothing failed */
export function historyTrouble(result: Result): HistoryTrouble | null {
  if (!result.isError) return null;
  const known = ownValue(BY_CODE, result.apiError ?? '') ?? ownValue(BY_CODE, result.terminalReason);
  if (known) return known;
  // Every request sends the whole conversation.
  if (/^API Error: 413\b/.test(result.text) || TOO_LONG.test(result.text)) return 'full';
  if (IN_A_MESSAGE.test(result.text) || isAboutImage(result.text)) return 'broken';
  return REFUSED.test(result.text) ? 'refused' : null;
}

/** Whether the API refuses an image. It came from a file or a tool, and is in every request from then on. */
export function isAboutImage(said: string): boolean {
  if (!/^API Error: 400\b/.test(said) || !/\bimages?\b/i.test(said)) return false;
  return /exceed|max(?:imum)? allowed|not process|not match|unsupported|invalid|not supported/i.test(said);
}

/** Whether people ask for a new conversation, as they were offered. */
export function asksForFresh(text: string): boolean {
  const said = text.replace(/^(?:@[\w.-]+\s+)+/, '').trim();
  return /^(?:please[,]?\s+)?["'“`]?(?:start\s+(?:a)?fresh|start\s+over|(?:begin|start)\s+(?:a\s+)?new\s+conversation)\b/i.test(
    said,
  );
}
