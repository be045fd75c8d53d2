import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import worker from '../../src/index.ts';

/** What a middleware declares, see src/routes/middleware/needs.ts. */
function declared(handler: unknown): string | null {
  if (typeof handler !== 'function' || !('declares' in handler)) return null;
  return typeof handler.declares === 'string' ? handler.declares : null;
}

/** An address that the pattern of a route takes. */
function sample(path: string): string {
  return path
    .replace(/:\w+\{\.\+\/mcp-servers(\/\[\^\/\]\+)?\}/g, (_, one?: string) => `name/mcp-servers${one ? '/name' : ''}`)
    .replace(/:\w+\{([^/]*)\}/g, (_, pattern: string) => (/\\d|0-9/.test(pattern) ? '1' : 'name'))
    .replace(/:\w+/g, 'name')
    .replaceAll('*', 'name');
}

type Router = Pick<typeof worker, 'routes' | 'router'>;

/** Each route once, with the handler that answers: the last of those that were given to it together. */
function routesOf({ routes }: Router) {
  const last = new Map<string, (typeof routes)[number]>();
  for (const route of routes) {
    // A middleware that `use` was given answers nothing by itself.
    const isMiddleware = route.method === 'ALL' && route.path.endsWith('/*');
    if (!isMiddleware) last.set(`${route.method} ${route.path}`, route);
  }
  return [...last].map(([name, route]) => ({ name, ...route }));
}

/** What a request meets that declares something, on its way to the handler that answers. */
function onTheWay({ router }: Router, { method, path, handler }: (typeof worker.routes)[number]): string[] {
  const [matched] = router.match(method === 'ALL' ? 'POST' : method, sample(path));
  const at = matched.findLastIndex(([[met]]) => met === handler);
  if (at < 0) throw new Error(`${method} ${sample(path)} does not lead to its own handler`);
  return matched.slice(0, at).flatMap(([[met]]) => declared(met) ?? []);
}

const routes = routesOf(worker);

describe('every route', () => {
  it('names what it needs, or whom else it serves', () => {
    expect(routes.filter((route) => onTheWay(worker, route).length === 0).map(({ name }) => name)).toEqual([]);
    expect(routes.length).toBeGreaterThan(60);
  });

  it('that serves people names an action for people', () => {
    const ofPeople = routes.filter(({ path }) =>
      /^\/(api\/(?!admin|share-links|v1\/(?:metrics|openapi))|install|oauth\/authorize|\*?$)/.test(path),
    );
    expect(ofPeople.length).toBeGreaterThan(15);
    const action = /^(self|page|sessions|session|workspace|deployment)\./;
    const others = ofPeople.filter((route) => !onTheWay(worker, route).some((one) => action.test(one)));
    expect(others.map(({ name }) => name)).toEqual([]);
  });

  it('that changes a session needs the right to work in it', () => {
    const changing = routes.filter(({ method, path }) => method !== 'GET' && /^\/api\/(v1\/)?sessions\//.test(path));
    expect(changing.length).toBe(7);
    for (const route of changing) expect(onTheWay(worker, route), route.name).toContain('session.work');
  });

  it('would be found out if it named nothing', () => {
    const careless = new Hono();
    careless.get('/forgotten', (c) => c.text('open to everybody'));
    careless.get(
      '*',
      Object.assign(async () => {}, { declares: 'page.open' }),
    );
    const [forgotten] = routesOf(careless as unknown as Router);
    expect(forgotten && onTheWay(careless as unknown as Router, forgotten)).toEqual([]);
  });
});
