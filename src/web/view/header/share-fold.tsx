import { useEffect, useId, useState } from 'react';
import type { NewShareLink, ShareLink } from '../../../protocol/share-links.ts';
import { deleteShareLink, fetchShareLinks, postShareLink } from '../../api.ts';
import { plural } from '../../text/format.ts';
import { CopyButton } from '../copy-button.tsx';
import { Fold } from '../fold.tsx';
import { Spinner } from '../icons.tsx';
import { Time } from '../time.tsx';

const DAYS = [1, 7, 30, 90] as const;

/** Share links of the session: asked for once it is unfolded. */
export function ShareFold({ id }: { id: string }) {
  return (
    <section aria-label="Share">
      <Fold className="facts-fold" line="Share">
        {() => <Share id={id} />}
      </Fold>
    </section>
  );
}

function Share({ id }: { id: string }) {
  const [links, setLinks] = useState<readonly ShareLink[] | null>(null);
  const [fresh, setFresh] = useState<NewShareLink | null>(null);
  const [days, setDays] = useState<number>(7);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const field = useId();
  useEffect(() => {
    const gone = new AbortController();
    void fetchShareLinks(id, gone.signal)
      .then((answer) => {
        if (answer.ok) setLinks(answer.value.links);
        else setProblem(answer.message);
      })
      // Folded before the answer came.
      .catch(() => {});
    return () => gone.abort();
  }, [id]);
  const make = async () => {
    setBusy(true);
    const answer = await postShareLink(id, days);
    setBusy(false);
    setProblem(answer.ok ? '' : answer.message);
    if (!answer.ok) return;
    setFresh(answer.value);
    setLinks([answer.value, ...(links ?? [])]);
  };
  const end = async (link: ShareLink) => {
    const answer = await deleteShareLink(id, link.id);
    // One that is not there any more is ended too.
    const isEnded = answer.ok || answer.kind === 'missing';
    setProblem(isEnded ? '' : answer.message);
    if (!isEnded) return;
    setLinks((links ?? []).filter((each) => each.id !== link.id));
    if (fresh?.id === link.id) setFresh(null);
  };
  return (
    <div className="share">
      <p className="soft">
        Anyone with the link can read this session, without signing in. What looks like a token is removed; everything
        else that Claude read and wrote is shown.
      </p>
      <p className="share-make">
        <label htmlFor={field}>Good for</label>
        <select id={field} value={days} onChange={(event) => setDays(Number(event.target.value))}>
          {DAYS.map((each) => (
            <option key={each} value={each}>
              {plural(each, 'day')}
            </option>
          ))}
        </select>
        <button type="button" className="button" disabled={isBusy} onClick={() => void make()}>
          Make a link
        </button>
      </p>
      {fresh !== null && (
        <p className="share-fresh" role="status">
          <input type="text" readOnly dir="ltr" value={addressOf(id, fresh)} aria-label="The new link" />
          <CopyButton text={addressOf(id, fresh)} what="the link" />
          <span className="faint">Copy it now: it is not shown again.</span>
        </p>
      )}
      {links === null && problem === '' && <Spinner />}
      {links !== null && links.length > 0 && (
        <ul aria-label="Links that work">
          {links.map((link) => (
            <li key={link.id} className="share-link">
              <span>
                {link.by ?? 'Somebody'}, until <Time at={link.expiresAt} />
              </span>
              <button type="button" className="more" onClick={() => void end(link)}>
                End this link
              </button>
            </li>
          ))}
        </ul>
      )}
      {problem !== '' && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

function addressOf(id: string, { secret }: NewShareLink): string {
  return `${location.origin}/shared/${encodeURIComponent(id)}#${secret}`;
}
