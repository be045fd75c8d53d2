import { ListPage } from './pages/list-page.tsx';
import { MessagePage } from './pages/message-page.tsx';
import { SessionPage } from './pages/session-page.tsx';
import { routeOf, usePath } from './route.ts';

/** The whole app: which page stands at the address. */
export function App() {
  const route = routeOf(usePath());
  switch (route.page) {
    case 'list':
      return <ListPage />;
    case 'session':
      return <SessionPage key={route.id} id={route.id} />;
    case 'none':
      return <MessagePage title="No such page">There is nothing at this address.</MessagePage>;
  }
}
