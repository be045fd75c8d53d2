import { useEffect, useState } from 'react';
import type { Me } from '../../protocol/people.ts';
import { fetchMe, postSignOut } from '../api.ts';
import { followLink } from '../route.ts';

/** Who is signed in, and the way out. Shows nothing where the page knows no names, or while it does not know yet. */
export function Account() {
  const [me, setMe] = useState<Me | null>(null);
  useEffect(() => {
    const ended = new AbortController();
    void fetchMe(ended.signal)
      .then((answer) => {
        if (answer.ok) setMe(answer.value);
      })
      // Left before the answer came.
      .catch(() => {});
    return () => ended.abort();
  }, []);
  return me && <AccountLine me={me} leave={leave} />;
}

/** The line itself. @param leave signs out; resolves to why it could not be, or does not return to this page */
export function AccountLine({ me, leave }: { me: Me; leave: (everywhere: boolean) => Promise<string> }) {
  const [problem, setProblem] = useState('');
  const [isLeaving, setLeaving] = useState(false);
  const links = <AccountLinks me={me} />;
  if (me.signIn === null) return <div className="account">{links}</div>;
  const workspaces = me.workspaces.map(({ name }) => name).join(', ');
  const out = async (everywhere: boolean) => {
    setLeaving(true);
    setProblem(await leave(everywhere));
    setLeaving(false);
  };
  return (
    <div className="account">
      <span className="account-name">
        {me.name ?? me.email}
        {workspaces !== '' && <span className="soft"> · {workspaces}</span>}
      </span>
      {links}
      {me.kind === 'linear' && (
        <>
          <button type="button" className="account-out" disabled={isLeaving} onClick={() => void out(false)}>
            Sign out
          </button>
          <button type="button" className="account-out" disabled={isLeaving} onClick={() => void out(true)}>
            Sign out everywhere
          </button>
        </>
      )}
      {me.kind === 'access' && (
        <a className="account-out" href="/cdn-cgi/access/logout">
          Sign out
        </a>
      )}
      <span className="soft" role="status">
        {problem}
      </span>
    </div>
  );
}

/** Whether a person reads the audit log of anything. */
export function readsAudit({ isOwner, workspaces }: Me): boolean {
  return isOwner || workspaces.some(({ role }) => role === 'admin');
}

function AccountLinks({ me }: { me: Me }) {
  return (
    <>
      <a href="/account" onClick={followLink}>
        Account
      </a>
      {readsAudit(me) && (
        <a href="/audit" onClick={followLink}>
          Audit log
        </a>
      )}
    </>
  );
}

/** Signs out, and leaves this page. @returns why it could not be; nothing if it goes on to the sign-in */
export async function leave(everywhere: boolean): Promise<string> {
  const answer = await postSignOut(everywhere);
  if (!answer.ok) return answer.message;
  // What this person left unsent is nobody else's.
  localStorage.clear();
  sessionStorage.clear();
  location.assign('/sign-in');
  return '';
}
