import { useEffect, useState } from 'react';
import { Icon, type IconName } from './icons.tsx';

/** For how long a copy is confirmed, ms. */
const CONFIRMED_MS = 1_500;

/** Copies a text. @param what names it for people, e.g. "command" */
export function CopyButton({
  text,
  what,
  icon = 'copy',
}: {
  text: string | (() => string);
  what: string;
  icon?: IconName;
}) {
  const [state, setState] = useState<'ready' | 'copied' | 'failed'>('ready');
  useEffect(() => {
    if (state === 'ready') return;
    const timer = setTimeout(() => setState('ready'), CONFIRMED_MS);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () => {
    const copied = navigator.clipboard?.writeText(typeof text === 'string' ? text : text());
    if (copied === undefined) setState('failed');
    else
      copied.then(
        () => setState('copied'),
        () => setState('failed'),
      );
  };
  const words = { ready: `Copy ${what}`, copied: 'Copied', failed: 'Copying is not allowed here' }[state];
  return (
    <button type="button" className="copy" aria-label={words} title={words} onClick={copy}>
      <Icon name={state === 'copied' ? 'check' : state === 'failed' ? 'cross' : icon} />
    </button>
  );
}
