import { useEffect, useState } from 'react';
import { openByShareLink } from '../api.ts';
import { linkedSecret } from '../view/timeline/deep-link.ts';
import { MessagePage } from './message-page.tsx';
import { SessionPage } from './session-page.tsx';

/** `/shared/:id#secret`: a session by a share link. The secret is no part of what a browser asks a server for. */
export function SharedPage({ id }: { id: string }) {
  const [secret] = useState(() => {
    const linked = linkedSecret(location.hash);
    if (linked !== null) openByShareLink(linked);
    return linked;
  });
  useEffect(() => {
    // Browsers load nothing for another link to the same session: it differs after the sign # alone.
    const onHash = () => {
      const linked = linkedSecret(location.hash);
      if (linked !== null && linked !== secret) location.reload();
    };
    window.addEventListener('hashchange', onHash);
    return () => window.removeEventListener('hashchange', onHash);
  }, [secret]);
  if (secret !== null) return <SessionPage id={id} isShared />;
  return (
    <MessagePage title="This link is incomplete">
      The part after the # sign is missing. Ask the person who gave it to you for the whole link.
    </MessagePage>
  );
}
