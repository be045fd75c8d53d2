import { useCallback, useState } from 'react';
import type { Me, AuditPage as Page } from '../../protocol/people.ts';
import { fetchMe } from '../api.ts';
import { readsAudit } from '../pages/account.tsx';
import { timeOfDay } from '../text/format.ts';
import { useNow } from '../view/session-context.ts';
import { type AuditQuery, auditFile, fetchAudit } from './people-api.ts';
import { PeoplePage, Waiting } from './people-page.tsx';
import { useAsked } from './use-asked.ts';

type Entry = Page['entries'][number];

/** `/audit`: who did what. Admins read what concerns their workspace, owners everything. */
export function AuditPage() {
  const me = useAsked(fetchMe);
  return (
    <PeoplePage title="Audit log" me={me.value}>
      <Waiting of={me} what="the audit log" />
      {me.value &&
        (readsAudit(me.value) ? <Log me={me.value} /> : <p>Only admins of a workspace can read its audit log.</p>)}
    </PeoplePage>
  );
}

function Log({ me }: { me: Me }) {
  const places = [
    ...(me.isOwner ? [{ id: '', name: 'The whole deployment' }] : []),
    ...me.workspaces.filter(({ role }) => role === 'admin' || me.isOwner),
  ];
  const [place, setPlace] = useState(places[0]?.id ?? '');
  const [typed, setTyped] = useState('');
  const [action, setAction] = useState('');
  const workspace = place === '' ? null : place;
  return (
    <>
      <form
        className="people-form"
        onSubmit={(event) => {
          event.preventDefault();
          setAction(typed.trim());
        }}
      >
        {places.length > 1 && (
          <label>
            Audit log of
            <select value={place} onChange={(event) => setPlace(event.target.value)}>
              {places.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          Actions that begin with
          <input
            value={typed}
            maxLength={100}
            placeholder="session."
            autoComplete="off"
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
        <button type="submit" className="button">
          Show
        </button>
        <a href={auditFile({ workspace, action })} download>
          Download as CSV
        </a>
      </form>
      <Entries key={`${place} ${action}`} workspace={workspace} action={action} />
    </>
  );
}

function Entries({ workspace, action }: AuditQuery) {
  const asked = useAsked(
    useCallback((signal: AbortSignal) => fetchAudit({ workspace, action }, signal), [workspace, action]),
  );
  const now = useNow(true, 60_000);
  const [older, setOlder] = useState<Page | null>(null);
  const [problem, setProblem] = useState('');
  const [isReading, setReading] = useState(false);
  const entries = [...(asked.value?.entries ?? []), ...(older?.entries ?? [])];
  const next = older === null ? asked.value?.next : older.next;
  const read = async () => {
    setReading(true);
    const answer = await fetchAudit({ workspace, action }, new AbortController().signal, next);
    setReading(false);
    setProblem(answer.ok ? '' : answer.message);
    if (answer.ok) setOlder({ ...answer.value, entries: [...(older?.entries ?? []), ...answer.value.entries] });
  };
  return (
    <>
      <Waiting of={asked} what="the entries" />
      {asked.value !== null && entries.length === 0 && (
        <p className="soft">{action === '' ? 'The audit log is still empty.' : `No action begins with “${action}”.`}</p>
      )}
      {entries.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what is wider than a phone is scrolled by keyboard too.
        <section className="people-table" aria-label="Entries, newest first" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col">Details</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <Row key={entry.id} entry={entry} now={now} />
              ))}
            </tbody>
          </table>
        </section>
      )}
      <p role="status" className="problem">
        {problem}
      </p>
      {next !== undefined && (
        <p className="list-more">
          <button type="button" className="button" disabled={isReading} onClick={() => void read()}>
            {isReading ? 'Loading older entries' : 'Show older entries'}
          </button>
        </p>
      )}
    </>
  );
}

function Row({ entry, now }: { entry: Entry; now: number }) {
  const { at, actor, action, details } = entry;
  const { name, ...facts } = details;
  const isNamed = typeof name === 'string' && name !== '';
  return (
    <tr>
      <td>
        <time dateTime={new Date(at).toISOString()}>{timeOfDay(at, now)}</time>
      </td>
      <td title={isNamed ? actor : undefined}>{isNamed ? name : actor}</td>
      <td>
        <code>{action}</code>
      </td>
      <td className="soft">
        {Object.entries(facts)
          .filter(([, value]) => value !== null && value !== '')
          .map(([key, value]) => `${key}: ${value}`)
          .join(', ')}
      </td>
    </tr>
  );
}
