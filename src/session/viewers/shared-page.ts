/**
 * What somebody who opens a share link is shown of a session (pure): the work, without anything that looks like a token, and without what
 * concerns the people and the deployment behind it.
 */
import type { SessionPage } from '../../protocol/api.ts';
import type { JournalEntry } from '../../protocol/journal.ts';
import { shownData } from '../../protocol/text/clean-text.ts';
import { withoutTokens } from '../../protocol/text/redact.ts';
import type { SessionView } from '../../protocol/viewer.ts';

/** Kinds of entries that are left out: output of scripts and of Claude Code itself, and what concerns the deployment. */
const LEFT_OUT: ReadonlySet<JournalEntry['kind']> = new Set<JournalEntry['kind']>([
  'output',
  'rate-limit',
  'effect-failed',
  'unknown',
]);

/** A page of the session as strangers see it. */
export function sharedPage({ session, entries, head, saved }: SessionPage): SessionPage {
  const page: SessionPage = {
    session: sharedView(session),
    entries: entries.map(sharedEntry),
    head,
    mayWork: false,
    ...(saved && { saved: sharedEntry(saved) }),
  };
  return shownData(page, withoutTokens);
}

function sharedView(session: SessionView): SessionView {
  const { windows: _, alert: _alert, readOnly: _readOnly, background: _background, ...rest } = session;
  const { pullRequest } = session;
  return {
    ...rest,
    workspaceName: '',
    asked: null,
    costUsd: null,
    failedEffects: 0,
    ...(pullRequest && { pullRequest: { number: pullRequest.number, url: pullRequest.url, draft: pullRequest.draft } }),
  };
}

/** The entries keep their numbers, which follow each other without a gap. */
function sharedEntry(entry: JournalEntry): JournalEntry {
  const { seq, at, turn } = entry;
  if (LEFT_OUT.has(entry.kind)) {
    return { seq, at, turn, kind: 'notice', level: 'info', text: 'Not part of the shared view.' };
  }
  if (entry.kind === 'claude-started') return { ...entry, tools: [], mcpServers: [] };
  if (entry.kind === 'turn-ended' || entry.kind === 'result') return { ...entry, costUsd: null };
  if (entry.kind === 'saved') {
    const { background: _, ...rest } = entry;
    return { ...rest, patchBytes: null, shared: [] };
  }
  return entry;
}
