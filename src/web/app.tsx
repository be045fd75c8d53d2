import { sessionPath } from './api.ts';
import { ListPage } from './pages/list-page.tsx';
import { MessagePage } from './pages/message-page.tsx';
import { SessionPage } from './pages/session-page.tsx';
import { SharedPage } from './pages/shared-page.tsx';
import { type Route, routeOf, usePath } from './route.ts';
import { Boundary, UndrawnPage } from './view/boundary.tsx';

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
    case 'none':
      return <MessagePage title="No such page">There is nothing at this address.</MessagePage>;
  }
}
