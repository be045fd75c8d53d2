import { type ReactNode, useEffect } from 'react';
import { followLink } from '../route.ts';

/** A page that says one thing, and the way back. */
export function MessagePage({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Cyrus`;
  }, [title]);
  return (
    <main className="message-page">
      <h1>{title}</h1>
      <p>{children}</p>
      <p>
        <a href="/" onClick={followLink}>
          All sessions
        </a>
      </p>
    </main>
  );
}
