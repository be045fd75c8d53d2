import { useState } from 'react';
import * as z from 'zod';
import type { ChangedFile } from '../../changes/patch.ts';

const keptSchema = z.record(z.string(), z.string());

export interface Viewed {
  has: (file: ChangedFile) => boolean;
  mark: (file: ChangedFile, isViewed: boolean) => void;
}

/** Which files somebody has looked at in this browser. A file that is changed again is not one of them any more. */
export function useViewed(session: string): Viewed {
  const key = `cyrus:viewed:${session}`;
  const [states, setStates] = useState<Record<string, string>>(() => {
    try {
      return keptSchema.parse(JSON.parse(localStorage.getItem(key) ?? '{}'));
    } catch {
      return {}; // Storage is forbidden, or holds something else.
    }
  });
  const mark = ({ path, state }: ChangedFile, isViewed: boolean) => {
    const { [path]: _, ...others } = states;
    const next = isViewed ? { ...others, [path]: state } : others;
    setStates(next);
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // The marks live as long as the page.
    }
  };
  return { has: ({ path, state }) => states[path] === state, mark };
}
