import { Component, type ReactNode } from 'react';

type BoundaryProps = { children: ReactNode; fallback: (retry: () => void) => ReactNode };

/** What cannot be drawn takes nothing else with it: in its place a text says so. */
export class Boundary extends Component<BoundaryProps, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? this.props.fallback(() => this.setState({ failed: false })) : this.props.children;
  }
}

/** An entry that cannot be drawn, as the journal holds it. */
export function UndrawnEntry({ raw, retry }: { raw: () => string; retry: () => void }) {
  return (
    <div className="undrawn" role="note">
      <p>
        This entry could not be drawn.{' '}
        <button type="button" className="more" onClick={retry}>
          Try again
        </button>
      </p>
      <pre className="plain">{raw()}</pre>
    </div>
  );
}

/** The page itself could not be drawn. It says so, and where to read on. */
export function UndrawnPage({ log, retry }: { log: string | null; retry: () => void }) {
  return (
    <main className="message-page">
      <h1>This page could not be drawn</h1>
      <p>Nothing is lost: the session goes on without the page.</p>
      <p>
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      </p>
      <p>
        {log !== null && (
          <>
            <a href={log}>Read the log as text</a> ·{' '}
          </>
        )}
        <a href="/">All sessions</a>
      </p>
    </main>
  );
}
