import { lazy, Suspense } from 'react';
import { sessionPath } from './api.ts';
import { ListPage } from './pages/list-page.tsx';
import { MessagePage } from './pages/message-page.tsx';
import { SessionPage } from './pages/session-page.tsx';
import { SharedPage } from './pages/shared-page.tsx';
import { type Route, routeOf, usePath } from './route.ts';
import { Boundary, UndrawnPage } from './view/boundary.tsx';
import { Spinner } from './view/icons.tsx';

// Loaded on demand: who watches a session needs none of it.
const AccountPage = lazy(async () => ({ default: (await import('./people/account-page.tsx')).AccountPage }));
const AuditPage = lazy(async () => ({ default: (await import('./people/audit-page.tsx')).AuditPage }));

/** The whole app: the page at the address. What cannot be drawn leaves a page that says so. */
export function App() {
  const path = usePath();
  const route = routeOf(path);
  const log = route.page === 'session' ? `${sessionPath(route.id)}/log` : null;
  return (
    <Boundary key={path} fallback={(retry) => <UndrawnPage log={log} retry={retry} />}>
      <Page route={route} />
    </Boundary>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'list':
      return <ListPage />;
    case 'session':
      return <SessionPage key={route.id} id={route.id} />;
    case 'shared':
      return <SharedPage key={route.id} id={route.id} />;
    case 'account':
    case 'audit':
      return (
        <Suspense fallback={<LoadingPage />}>{route.page === 'account' ? <AccountPage /> : <AuditPage />}</Suspense>
      );
    case 'none':
      return <MessagePage title="No such page">There is nothing at this address.</MessagePage>;
  }
}

function LoadingPage() {
  return (
    <p className="list soft appear-late" role="status">
      <Spinner /> Loading the page
    </p>
  );
}
