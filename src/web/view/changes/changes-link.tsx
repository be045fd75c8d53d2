import { lazy, Suspense, useSyncExternalStore } from 'react';
import { Boundary } from '../boundary.tsx';
import { Icon, Spinner } from '../icons.tsx';

const HASH = '#changes';
const ChangesView = lazy(() => import('./changes-view.tsx'));

/** Opens the view of the changes. */
export function ChangesLink() {
  return (
    <a className="download" href={HASH}>
      <Icon name="list" />
      Review the changes
    </a>
  );
}

/** The changes of the branch, over the timeline, while the address names them. */
export function ChangesPanel() {
  const hash = useSyncExternalStore(followHash, () => location.hash);
  if (hash !== HASH) return null;
  return (
    <Boundary
      fallback={() => <p className="changes problem">The changes could not be drawn. The patch can be downloaded.</p>}
    >
      <Suspense
        fallback={
          <p className="changes appear-late">
            <Spinner /> Loading the changes
          </p>
        }
      >
        <ChangesView onClose={closeChanges} />
      </Suspense>
    </Boundary>
  );
}

function closeChanges(): void {
  history.replaceState(null, '', location.pathname);
  window.dispatchEvent(new HashChangeEvent('hashchange'));
}

function followHash(changed: () => void): () => void {
  window.addEventListener('hashchange', changed);
  return () => window.removeEventListener('hashchange', changed);
}
