import { createContext, useContext, useEffect, useMemo, useState } from 'react';
import * as z from 'zod';
import { parseJson } from '../../../lib/parse-json.ts';
import { type DraftComment, type SentComment, sentComments } from '../../changes/review.ts';
import { useSession } from '../session-context.ts';

const draftsSchema = z.array(
  z.object({
    id: z.string(),
    path: z.string(),
    side: z.enum(['old', 'new']),
    from: z.number().int().positive(),
    to: z.number().int().positive(),
    state: z.string(),
    excerpt: z.string(),
    text: z.string(),
  }),
);

/** The review of the changes: what is written, and what was sent. */
export interface Review {
  drafts: readonly DraftComment[];
  sent: readonly SentComment[];
  /** Whether who looks may write to Claude. */
  mayWrite: boolean;
  /** Adds a comment, or replaces the one with its id. */
  keep: (draft: DraftComment) => void;
  /** Removes comments by their ids. */
  remove: (ids: readonly string[]) => void;
}

/** The review around. */
export const ReviewContext = createContext<Review | null>(null);

/** The review around; only below a `ReviewContext`. */
export function useReview(): Review {
  const review = useContext(ReviewContext);
  if (review === null) throw new Error('There is no review around this component');
  return review;
}

/** The review of a session: its drafts are kept in this browser, the same for each tab, until they are sent. */
export function useKeptReview(session: string): Review {
  const key = `cyrus:review:${session}`;
  const [drafts, setDrafts] = useState(() => readDrafts(key));
  useEffect(() => {
    const onStorage = (event: StorageEvent) => {
      if (event.key === key || event.key === null) setDrafts(readDrafts(key));
    };
    window.addEventListener('storage', onStorage);
    return () => window.removeEventListener('storage', onStorage);
  }, [key]);
  const entries = useSession((state) => state.timeline.entries);
  const outgoing = useSession((state) => state.outgoing);
  const mayWrite = useSession((state) => state.mayWork && state.session?.readOnly === undefined);
  const sent = useMemo(() => sentComments(entries, outgoing), [entries, outgoing]);
  return useMemo(() => {
    const change = (next: readonly DraftComment[]) => {
      setDrafts(next);
      try {
        localStorage.setItem(key, JSON.stringify(next));
      } catch {
        // Storage is forbidden or full: the comments live as long as the page.
      }
    };
    return {
      drafts,
      sent,
      mayWrite,
      keep: (draft) =>
        change(
          drafts.some(({ id }) => id === draft.id)
            ? drafts.map((each) => (each.id === draft.id ? draft : each))
            : [...drafts, draft],
        ),
      remove: (ids) => change(drafts.filter(({ id }) => !ids.includes(id))),
    };
  }, [key, drafts, sent, mayWrite]);
}

function readDrafts(key: string): readonly DraftComment[] {
  try {
    return draftsSchema.safeParse(parseJson(localStorage.getItem(key) ?? '')).data ?? [];
  } catch {
    return []; // Storage is forbidden.
  }
}
