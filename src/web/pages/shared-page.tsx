import { useState } from 'react';
import { openByShareLink } from '../api.ts';
import { linkedSecret } from '../view/timeline/deep-link.ts';
import { MessagePage } from './message-page.tsx';
import { SessionPage } from './session-page.tsx';

/** `/shared/:id#secret`: a session by a share link. The secret is no part of what a browser asks a server for. */
export function SharedPage({ id }: { id: string }) {
  const [isWhole] = useState(() => {
    const secret = linkedSecret(location.hash);
    if (secret !== null) openByShareLink(secret);
    return secret !== null;
  });
  if (isWhole) return <SessionPage id={id} isShared />;
  return (
    <MessagePage title="This link is not whole">
      The part of it after the sign # is missing. Ask who gave it to you for the whole link.
    </MessagePage>
  );
}
