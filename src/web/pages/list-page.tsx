import { useEffect } from 'react';
import { isLoopback } from '../../lib/loopback.ts';
import type { SessionRow } from '../../protocol/viewer.ts';
import { followLink, sessionHref } from '../route.ts';
import { ago } from '../text/format.ts';
import { statusOf } from '../text/status.ts';
import { ReinstallBanner, ScriptedBanner } from '../view/banners.tsx';
import { PullBadge } from '../view/header/pull-badge.tsx';
import { Spinner } from '../view/icons.tsx';
import { useNow } from '../view/session-context.ts';
import { Account } from './account.tsx';
import { groupsOf } from './session-pages.ts';
import { useSessions } from './use-sessions.ts';

/** `/`: all sessions, those that need somebody first. */
export function ListPage() {
  const { list, problem, older, isReadingOlder } = useSessions();
  const now = useNow(true, 20_000);
  const working = list?.rows.filter((row) => row.phase !== 'waiting').length ?? 0;
  useEffect(() => {
    document.title = working > 0 ? `● ${working} at work · Cyrus` : 'Sessions · Cyrus';
  }, [working]);
  return (
    <div className="list">
      <header className="list-header">
        <h1>
          <img src="/favicon.svg" alt="" width="22" height="22" />
          Cyrus
        </h1>
        <p className="soft" role="status">
          {problem === null ? '' : `${problem} The page keeps trying.`}
        </p>
        <Account />
      </header>
      <main>
        <ReinstallBanner workspaces={list?.reinstallNeeded ?? []} />
        {list?.scriptedModel && <ScriptedBanner />}
        {list === null && problem === null && (
          <p className="soft appear-late">
            <Spinner /> Loading the sessions
          </p>
        )}
        {list?.rows.length === 0 && <EmptyList />}
        {groupsOf(list?.rows ?? []).map(({ title, rows }) => (
          <section key={title} aria-label={title}>
            <h2>
              {title} <span className="faint">{rows.length}</span>
            </h2>
            <ul>
              {rows.map((row) => (
                <li key={row.id}>
                  <Row row={row} now={now} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        {list?.next !== undefined && (
          <p className="list-more">
            <button type="button" className="button" disabled={older === null} onClick={older ?? undefined}>
              {isReadingOlder ? 'Loading older sessions' : 'Show older sessions'}
            </button>
          </p>
        )}
      </main>
    </div>
  );
}

function Row({ row, now }: { row: SessionRow; now: number }) {
  const { word, detail, tone } = statusOf(row);
  return (
    <a className="list-row" href={sessionHref(row.id)} onClick={followLink}>
      <span className={`list-mark tone-${tone}`}>
        {tone === 'busy' ? <Spinner /> : <span className="pill-dot" aria-hidden="true" />}
      </span>
      <span className="list-issue">{row.identifier}</span>
      <span className="list-title" dir="auto">
        {row.title}
      </span>
      <span className="list-detail" title={detail}>
        {detail}
      </span>
      <span className={`list-word tone-${tone}`}>{word}</span>
      {row.pullRequest != null && (
        <span className="list-pull">
          <span>
            <span className="visually-hidden">Pull request </span>#{row.pullRequest.number}
          </span>
          <PullBadge seen={row.pullRequest} />
        </span>
      )}
      <span className="list-repository">{row.repository}</span>
      <time className="list-time" dateTime={new Date(row.updatedAt).toISOString()}>
        {ago(row.updatedAt, now)}
      </time>
    </a>
  );
}

function EmptyList() {
  const local = isLoopback(location.hostname);
  return (
    <div className="empty-list">
      <h2>No sessions yet</h2>
      <p>
        In Linear, assign an issue to Cyrus or mention it in a comment. The session appears here at once, and you can
        watch Claude work on it.
      </p>
      {local && (
        <p className="soft">
          On this machine Linear is simulated: <code>npm start</code> printed the address of the simulator. Assign the
          issue that waits there.
        </p>
      )}
    </div>
  );
}
