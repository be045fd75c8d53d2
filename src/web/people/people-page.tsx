import { type ReactNode, useEffect } from 'react';
import type { Me } from '../../protocol/people.ts';
import { readsAudit } from '../pages/account.tsx';
import { followLink } from '../route.ts';
import { Spinner } from '../view/icons.tsx';
import type { Asked } from './use-asked.ts';
import '../style/people.css';

/** The frame of a page about people: its title, and the ways to the others. */
export function PeoplePage({ title, me, children }: { title: string; me: Me | null; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Cyrus`;
  }, [title]);
  return (
    <div className="list people">
      <header className="list-header">
        <h1>{title}</h1>
        <nav aria-label="Pages" className="account">
          <PageLink href="/" words="Sessions" />
          <PageLink href="/account" words="Account" />
          {me !== null && readsAudit(me) && <PageLink href="/audit" words="Audit log" />}
        </nav>
      </header>
      <main>{children}</main>
    </div>
  );
}

function PageLink({ href, words }: { href: string; words: string }) {
  const isHere = location.pathname === href;
  return (
    <a href={href} onClick={followLink} aria-current={isHere ? 'page' : undefined}>
      {words}
    </a>
  );
}

/** What is shown instead of what was asked for, or above it: that it is waited for, or why it is not there. */
export function Waiting({ of, what }: { of: Asked<unknown>; what: string }) {
  if (of.problem !== null) {
    return (
      <p role="alert" className="people-problem">
        <span className="problem">{of.problem}</span>{' '}
        <button type="button" className="button" onClick={of.again}>
          Try again
        </button>
      </p>
    );
  }
  if (of.value !== null) return null;
  return (
    <p className="soft appear-late" role="status">
      <Spinner /> Loading {what}
    </p>
  );
}
