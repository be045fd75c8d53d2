import { useEffect, useState } from 'react';
import { fetchPatch } from '../../api.ts';
import { type ChangedFile, readPatch } from '../../changes/patch.ts';

/** A larger patch is downloaded rather than drawn, in bytes. */
export const MOST_DRAWN = 4 * 1024 * 1024;

export type Changes =
  | { at: 'loading' }
  | { at: 'failed'; message: string }
  | { at: 'shown'; files: readonly ChangedFile[] };

/** The files that the branch changes. @param head of the branch as it was saved last: another one is read again */
export function useChanges(session: string, head: string | undefined): Changes {
  const [changes, setChanges] = useState<Changes>({ at: 'loading' });
  // biome-ignore lint/correctness/useExhaustiveDependencies: with another head it is another patch
  useEffect(() => {
    const gone = new AbortController();
    const read = async () => {
      const answer = await fetchPatch(session, gone.signal);
      if (gone.signal.aborted) return;
      setChanges(
        answer.ok ? { at: 'shown', files: readPatch(answer.value) } : { at: 'failed', message: answer.message },
      );
    };
    read().catch(() => {});
    return () => gone.abort();
  }, [session, head]);
  return changes;
}
