import { useEffect, useState } from 'react';
import { messageOf } from '../../../lib/error.ts';
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
    void readChanges(session, gone.signal).then((read) => {
      if (read !== null) setChanges(read);
    });
    return () => gone.abort();
  }, [session, head]);
  return changes;
}

/** The changes as they are now; null if `signal` was aborted meanwhile. Never rejects. */
export async function readChanges(
  session: string,
  signal: AbortSignal,
): Promise<Exclude<Changes, { at: 'loading' }> | null> {
  try {
    const answer = await fetchPatch(session, signal);
    if (signal.aborted) return null;
    return answer.ok ? { at: 'shown', files: readPatch(answer.value) } : { at: 'failed', message: answer.message };
  } catch (error) {
    if (signal.aborted) return null;
    return { at: 'failed', message: `The changes could not be read: ${messageOf(error)}` };
  }
}
