import type { LinkState } from '../../live/connection.ts';
import { clock } from '../../text/format.ts';
import { useNow, useSession } from '../session-context.ts';

/** Whether the page is live. Hardly there while it is. */
export function LinkStatus() {
  const link = useSession((state) => state.link);
  const now = useNow(link.at === 'connecting' || link.at === 'waiting');
  const { word, title, live } = linkText(link, now);
  return (
    <span
      className={`link ${live ? 'link-live' : 'link-lost'}${link.at === 'signed-out' ? ' link-ended' : ''}`}
      title={title}
    >
      <span className="link-dot" aria-hidden="true" />
      <span className="link-word">{word}</span>
    </span>
  );
}

/** A server that has not answered for this long is said not to answer, ms. */
const LONG_MS = 3_000;

const SIGNED_OUT = 'You are no longer signed in. Reload the page.';

/** What is said of the connection. Pure. @param now this machine's time in ms */
export function linkText(link: LinkState, now: number): { word: string; title: string; live: boolean } {
  switch (link.at) {
    case 'live':
      return { word: 'Live', title: 'Updates appear at once', live: true };
    case 'connecting':
    case 'waiting': {
      const silent = now - link.since;
      const why = link.problem === null ? '' : `: ${link.problem}`;
      const title = `Not live${why}. What you see is as of ${clock(silent)} ago. Nothing is lost; the page continues where it was.`;
      if (silent >= LONG_MS) return { word: `No answer for ${clock(silent)}`, title, live: false };
      if (link.failures === 0) return { word: 'Connecting', title: 'The page will be live in a moment', live: false };
      return { word: 'Reconnecting', title, live: false };
    }
    case 'signed-out':
      return { word: SIGNED_OUT, title: 'What you see is as of when the connection ended', live: false };
    case 'gone':
    case 'closed':
      return { word: 'Not live', title: '', live: false };
  }
}
