/** Every route that the Worker answers, read from the Worker itself: a new one is attacked without an edit here. */
import { registerHooks } from 'node:module';
import { z } from 'zod';

export interface Route {
  method: string;
  /** As Hono has it: `/api/sessions/:id/prompts`. */
  path: string;
}

/** What the platform brings along; the routes are only listed here, and nothing of it is called. */
const PLATFORM = `
  const Base = class { constructor(ctx, env) { this.ctx = ctx; this.env = env; } };
  export { Base as DurableObject, Base as WorkerEntrypoint, Base as RpcTarget, Base as WorkflowEntrypoint };
  export const env = {}; export const exports = {}; export const waitUntil = () => {};
`;

const workerSchema = z.object({
  default: z.object({ routes: z.array(z.object({ method: z.string(), path: z.string() })) }),
});

/** @returns each route once, in the Worker's order */
export async function workerRoutes(): Promise<Route[]> {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'cloudflare:workers'
        ? { url: `data:text/javascript,${encodeURIComponent(PLATFORM)}`, shortCircuit: true }
        : // Written for a bundler: its own files are named without their ending.
          next(isBare(specifier, context.parentURL) ? `${specifier}.js` : specifier, context),
  });
  try {
    // Named at run time: the checks of types for what runs in Node know nothing of the Worker's platform.
    const worker: unknown = await import(new URL('../../src/index.ts', import.meta.url).href);
    const { default: app } = workerSchema.parse(worker);
    const known = new Map<string, Route>();
    // A handler is listed once for itself and once for each middleware before it.
    for (const { method, path } of app.routes) known.set(`${method} ${path}`, { method, path });
    const routes = [...known.values()];
    if (routes.length < 30) throw new Error(`only ${routes.length} routes were found`);
    return routes;
  } finally {
    hooks.deregister();
  }
}

function isBare(specifier: string, parent: string | undefined): boolean {
  return (parent ?? '').includes('/@cloudflare/containers/') && /^\.\.?\/[\w/-]+$/.test(specifier);
}
