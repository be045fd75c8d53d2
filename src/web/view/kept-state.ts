import { createContext, useContext, useState } from 'react';

/** What rows remember while they are out of the document, by name. */
export const KeptState = createContext<Map<string, boolean> | null>(null);

/** Like `useState`, and remembered under a name while the component is away. Without a name, or a place to keep it, it is forgotten. */
export function useKept(name: string | undefined, initial: boolean): [boolean, (value: boolean) => void] {
  const kept = useContext(KeptState);
  const [value, setValue] = useState(() => {
    const known = name === undefined ? undefined : kept?.get(name);
    return known ?? initial;
  });
  const change = (next: boolean) => {
    setValue(next);
    if (name !== undefined) kept?.set(name, next);
  };
  return [value, change];
}
