/**
 * A session whose storage this version of Cyrus cannot go on from, mostly because a newer version wrote it: it is shown and
 * says so, and changes nothing until a version that knows it is deployed.
 */
import * as z from 'zod';
import type { SessionView } from '../../protocol/viewer.ts';
import { initialState, type SessionState } from '../lifecycle/model/state.ts';
import { viewOf } from './session-view.ts';

export interface ReadOnly {
  /** As much of the state as could be read, for the page. */
  shown: SessionState;
  /** What is wrong and what to do, for people. */
  words: string;
}

const issueSchema = z.object({
  id: z.string(),
  identifier: z.string(),
  title: z.string(),
  url: z.string(),
  teamId: z.string().nullable().default(null),
});

/** Of an issue that cannot be read it is not known whose it is: it is no conversation without an issue, which admins see. */
const UNREADABLE_ISSUE = { id: '', identifier: '', title: '', url: '', teamId: null };

/** Each part by itself: what does not fit is left out. */
const shownSchema = z.object({
  workspaceId: z.string().catch(''),
  origin: z.string().catch(''),
  issue: issueSchema.nullable().catch(UNREADABLE_ISSUE),
  branch: z.string().catch(''),
  repository: z.string().nullable().catch(null),
  turns: z.number().catch(0),
  createdAt: z.number().catch(0),
  updatedAt: z.number().catch(0),
});

/**
 * @param id of the session's object
 * @param stored the state as it was stored; anything
 * @param why what cannot be read, e.g. "its state has version 7, and …"
 */
export function readOnly(id: string, stored: unknown, why: string): ReadOnly {
  const parsed = shownSchema.safeParse(stored);
  const known = parsed.success ? parsed.data : shownSchema.parse({});
  const { turns, repository, createdAt, updatedAt, ...about } = known;
  const shown = { ...initialState({ ...about, id, conversationId: '', now: createdAt }), turns, repository, updatedAt };
  return { shown, words: `${READ_ONLY} ${why}. ${WHAT_TO_DO}` };
}

const READ_ONLY = 'This session is read-only for now:';
const WHAT_TO_DO =
  'Nothing is lost. It continues once a version of Cyrus that can read its storage is deployed; please ask again then.';

export function readOnlyView({ shown, words }: ReadOnly, workspaceName: string, scriptedModel: boolean): SessionView {
  const view = viewOf(shown, { workspaceName, scriptedModel });
  return { ...view, ...(shown.issue?.id === '' && { issue: null }), reason: words, readOnly: words };
}
