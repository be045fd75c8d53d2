import { useEffect, useState } from 'react';
import type { EgressLine, EgressPage, EgressVerdict } from '../../../protocol/egress-log.ts';
import type { SessionView } from '../../../protocol/viewer.ts';
import { fetchEgress } from '../../api.ts';
import { bytes, plural, timeOfDay } from '../../text/format.ts';
import { Fold } from '../fold.tsx';
import { Spinner } from '../icons.tsx';

/** While it is open the list is asked for again this often, in ms. */
const REFRESH_MS = 5_000;

/** What has left the sandbox: asked for once it is unfolded. */
export function Network({ session }: { session: SessionView }) {
  if (session.turn === 0) return null;
  return (
    <section aria-label="Network">
      <Fold className="facts-fold" line="Network">
        {() => <EgressLog id={session.id} />}
      </Fold>
    </section>
  );
}

function EgressLog({ id }: { id: string }) {
  const [page, setPage] = useState<EgressPage | null>(null);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    const gone = new AbortController();
    const load = async () => {
      const answer = await fetchEgress(id, gone.signal);
      if (answer.ok) setPage(answer.value);
      setProblem(answer.ok ? '' : answer.message);
    };
    const refresh = () => load().catch(() => {});
    void refresh();
    const timer = setInterval(refresh, REFRESH_MS);
    return () => {
      clearInterval(timer);
      gone.abort();
    };
  }, [id]);
  if (page === null) {
    return <p className="soft">{problem === '' ? <Spinner /> : problem}</p>;
  }
  if (page.lines.length === 0) return <p className="soft">Nothing has left the sandbox yet.</p>;
  return (
    <>
      <Hosts lines={page.lines} />
      <ol className="egress" aria-label="Requests, newest first">
        {page.lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no name of their own, and the list is replaced whole
          <li key={index} className={`egress-${line.verdict}`}>
            <EgressRow line={line} />
          </li>
        ))}
      </ol>
      {page.total > page.lines.length && (
        <p className="faint">
          The newest {page.lines.length} of {plural(page.total, 'request')}.
        </p>
      )}
    </>
  );
}

/** Where it went: the hosts, those that were refused first. */
function Hosts({ lines }: { lines: EgressLine[] }) {
  const hosts = new Map<string, { count: number; kept: number }>();
  for (const { host, verdict } of lines) {
    const { count, kept } = hosts.get(host) ?? { count: 0, kept: 0 };
    hosts.set(host, { count: count + 1, kept: kept + (verdict === 'allowed' ? 0 : 1) });
  }
  const sorted = [...hosts].toSorted(([, a], [, b]) => b.kept - a.kept || b.count - a.count);
  return (
    <ul className="egress-hosts" aria-label="Hosts">
      {sorted.map(([host, { count, kept }]) => (
        <li key={host}>
          <code className="breakable">{host}</code> <span className="faint">{count}</span>
          {kept > 0 && <span className="tag tag-bad">{kept} not let through</span>}
        </li>
      ))}
    </ul>
  );
}

const WORDS: Record<EgressVerdict, string> = {
  allowed: '',
  refused: 'refused',
  blocked: 'blocked',
  alarm: 'alarm',
};

function EgressRow({ line }: { line: EgressLine }) {
  const { at, host, method, path, verdict, status, sent, received } = line;
  return (
    <>
      <time className="faint" dateTime={new Date(at).toISOString()}>
        {timeOfDay(at, Date.now())}
      </time>{' '}
      {method}{' '}
      <span className="breakable">
        {host}
        {path}
      </span>{' '}
      <span className="faint">
        {status} · {bytes(sent)} out · {bytes(received)} in
      </span>
      {verdict !== 'allowed' && <span className="tag tag-bad">{WORDS[verdict]}</span>}
    </>
  );
}
