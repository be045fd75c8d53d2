import { lazy, Suspense, useSyncExternalStore } from 'react';
import { sessionPath } from '../../api.ts';
import { Boundary } from '../boundary.tsx';
import { Icon, Spinner } from '../icons.tsx';
import { useStore } from '../session-context.ts';

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
    <Boundary fallback={() => <UndrawnChanges />}>
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

/** The view could not be loaded, or not be drawn. What failed to load is asked for again only by a page that is loaded again. */
export function UndrawnChanges() {
  const { id } = useStore();
  return (
    <section className="changes" aria-label="Changes of the branch">
      <p className="problem" role="alert">
        The changes could not be drawn. Reload the page, or <a href={`${sessionPath(id)}/patch`}>download the patch</a>.
      </p>
      <button type="button" className="button" onClick={closeChanges}>
        Close the changes
      </button>
    </section>
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
