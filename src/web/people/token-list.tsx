import { type FormEvent, useState } from 'react';
import type { Me, NewToken, Token, TokenScope } from '../../protocol/people.ts';
import { ago, timeOfDay } from '../text/format.ts';
import { CopyButton } from '../view/copy-button.tsx';
import { useNow } from '../view/session-context.ts';
import { fetchTokens, makeToken, revokeToken } from './people-api.ts';
import { Waiting } from './people-page.tsx';
import { useAsked } from './use-asked.ts';

/** What a token may do, in the order of how much that is. */
const SCOPES: Record<TokenScope, string> = {
  read: 'Read sessions and usage',
  write: 'Also start and steer sessions',
  admin: 'Also change settings and webhooks',
};
const LIVES = [7, 30, 90, 366];

/** The tokens of a person: made, shown once, listed, revoked. */
export function TokenList({ me }: { me: Me }) {
  const asked = useAsked(fetchTokens);
  const now = useNow(true, 20_000);
  const [made, setMade] = useState<NewToken | null>(null);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const make = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const given = new FormData(form);
    const scope = given.get('scope') as TokenScope;
    setBusy(true);
    const answer = await makeToken({ name: String(given.get('name')), scope, days: Number(given.get('days')) });
    setBusy(false);
    setProblem(answer.ok ? '' : answer.message);
    if (!answer.ok) return;
    setMade(answer.value);
    form.reset();
    asked.again();
  };
  const revoke = async ({ id, name }: Token) => {
    if (!window.confirm(`Revoke the token "${name}"? Programs that use it are refused at once.`)) return;
    setBusy(true);
    const answer = await revokeToken(id);
    setBusy(false);
    setProblem(answer.ok ? '' : answer.message);
    if (made?.id === id) setMade(null);
    asked.again();
  };
  return (
    <section aria-labelledby="tokens">
      <h2 id="tokens">Tokens for programs</h2>
      <p className="soft">
        A program with such a token can do what {me.name === null ? 'this page' : 'you'} can do, within the token's
        scope.
      </p>
      <form className="people-form" onSubmit={(event) => void make(event)}>
        <label>
          What it is for
          <input name="name" required maxLength={100} autoComplete="off" />
        </label>
        <label>
          What it may do
          <select name="scope" defaultValue="read">
            {Object.entries(SCOPES).map(([scope, words]) => (
              <option key={scope} value={scope}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label>
          Ends after
          <select name="days" defaultValue="90">
            {LIVES.map((days) => (
              <option key={days} value={days}>
                {days} days
              </option>
            ))}
          </select>
        </label>
        <button type="submit" className="button" disabled={isBusy}>
          Make a token
        </button>
      </form>
      <div role="status">
        {made && (
          <p className="people-secret">
            <span>Copy the token now; it is not shown again.</span>
            <code>{made.token}</code>
            <CopyButton text={made.token} what="the token" />
          </p>
        )}
        {problem !== '' && <p className="problem">{problem}</p>}
      </div>
      <Waiting of={asked} what="the tokens" />
      {asked.value?.tokens.length === 0 && <p className="soft">There is no token yet.</p>}
      <ul>
        {asked.value?.tokens.map((token) => (
          <li key={token.id} className="people-row">
            <span className="people-main">
              <span className="people-name" dir="auto">
                {token.name}
              </span>
              <span className="tag">{token.scope}</span>
              <span className="soft">
                {token.usedAt === null ? 'never used' : `used ${ago(token.usedAt, now)}`}, ends{' '}
                {timeOfDay(token.expiresAt, now)}
              </span>
            </span>
            <button
              type="button"
              className="button"
              disabled={isBusy}
              aria-label={`Revoke ${token.name}`}
              onClick={() => void revoke(token)}
            >
              Revoke
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
