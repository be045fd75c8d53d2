import { useState } from 'react';
import type { Me, SignIns } from '../../protocol/people.ts';
import { fetchMe } from '../api.ts';
import { leave } from '../pages/account.tsx';
import { ago, timeOfDay } from '../text/format.ts';
import { useNow } from '../view/session-context.ts';
import { browserWords } from './browser-words.ts';
import { endSignIn, fetchSignIns } from './people-api.ts';
import { PeoplePage, Waiting } from './people-page.tsx';
import { TokenList } from './token-list.tsx';
import { useAsked } from './use-asked.ts';

/** `/account`: who is signed in, in which browsers, and the tokens by which programs act for them. */
export function AccountPage() {
  const me = useAsked(fetchMe);
  return (
    <PeoplePage title="Account" me={me.value}>
      <Waiting of={me} what="your account" />
      {me.value && (
        <>
          <Who me={me.value} />
          {me.value.signIn !== null && <Browsers me={me.value} />}
          <TokenList me={me.value} />
        </>
      )}
    </PeoplePage>
  );
}

function Who({ me }: { me: Me }) {
  const name = me.name ?? me.email;
  if (name === null)
    return <p>People do not sign in here by name: everyone who can open this page shares the tokens below.</p>;
  const roles = me.workspaces.map((one) => `${one.role} of ${one.name}`).join(', ');
  return (
    <p>
      {name}
      {me.email !== null && me.email !== name && <span className="soft"> · {me.email}</span>}
      {roles !== '' && <span className="soft"> · {roles}</span>}
      {me.isOwner && <span className="soft"> · owner of this deployment</span>}
    </p>
  );
}

function Browsers({ me }: { me: Me }) {
  const asked = useAsked(fetchSignIns);
  const now = useNow(true, 20_000);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const act = async (what: () => Promise<string>) => {
    setBusy(true);
    setProblem(await what());
    setBusy(false);
  };
  const end = ({ id, isThis }: SignIns['signIns'][number]) =>
    act(async () => {
      if (isThis) return leave(false);
      const answer = await endSignIn(id);
      asked.again();
      return answer.ok ? '' : answer.message;
    });
  return (
    <section aria-labelledby="browsers">
      <h2 id="browsers">Where you are signed in</h2>
      <Waiting of={asked} what="your sign-ins" />
      <ul>
        {asked.value?.signIns.map((one) => (
          <li key={one.id} className="people-row">
            <span className="people-main">
              <span className="people-name">{browserWords(one.browser)}</span>
              {one.isThis && <span className="tag">this browser</span>}
              <span className="soft">
                used {ago(one.seenAt, now)}, signed in {ago(one.createdAt, now)}, ends {timeOfDay(one.expiresAt, now)}
              </span>
            </span>
            {me.kind === 'linear' && (
              <button
                type="button"
                className="button"
                disabled={isBusy}
                aria-label={`Sign out of ${browserWords(one.browser)}`}
                onClick={() => void end(one)}
              >
                Sign out
              </button>
            )}
          </li>
        ))}
      </ul>
      {me.kind === 'linear' ? (
        <p>
          <button type="button" className="button" disabled={isBusy} onClick={() => void act(() => leave(true))}>
            Sign out everywhere
          </button>
        </p>
      ) : (
        <p>
          Cloudflare Access signs you in. <a href="/cdn-cgi/access/logout">Sign out there</a>
        </p>
      )}
      <p role="status" className="problem">
        {problem}
      </p>
    </section>
  );
}
