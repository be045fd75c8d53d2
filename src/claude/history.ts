/**
 * Whether Claude's API still takes a conversation. Every request sends all of it, so what is wrong in it fails the same way forever;
 * another conversation goes on from a summary. Texts and codes measured with CLI 2.1.330. Pure.
 */
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
  dlp_request_denied: 'refused',
  safety_monitor_blocked: 'refused',
};

/** A 400 that names a message of the conversation as its cause; nothing is wrong with the request as such. */
const IN_A_MESSAGE = /^API Error: 400 messages(\.\d+|:)/;
const REFUSED = /content filtering policy|usage policy|acceptable use/i;

/** @returns null where the conversation is not the cause, also where nothing failed */
export function historyTrouble(result: Result): HistoryTrouble | null {
  if (!result.isError) return null;
  const known = BY_CODE[result.apiError ?? ''] ?? BY_CODE[result.terminalReason];
  if (known) return known;
  // Every request sends the whole conversation.
  if (/^API Error: 413\b/.test(result.text)) return 'full';
  if (IN_A_MESSAGE.test(result.text)) return 'broken';
  return REFUSED.test(result.text) ? 'refused' : null;
}

/** Whether people ask for a new conversation, as they were offered. */
export function asksForFresh(text: string): boolean {
  const said = text.replace(/^(?:@[\w.-]+\s+)+/, '').trim();
  return /^(?:please[,]?\s+)?["'“`]?(?:start\s+(?:a)?fresh|start\s+over|(?:begin|start)\s+(?:a\s+)?new\s+conversation)\b/i.test(
    said,
  );
}
