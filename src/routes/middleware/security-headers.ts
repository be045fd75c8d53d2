/** Headers that keep a page from being framed, from loading or sending anything elsewhere, and from telling where it was. */
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';

const common: Parameters<typeof secureHeaders>[0] = {
  contentSecurityPolicy: {
    defaultSrc: ["'self'"],
    // Older Safari does not count the socket of the same host as 'self'.
    connectSrc: ["'self'", ownSocket],
    imgSrc: ["'self'", 'data:'],
    objectSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: 'DENY',
};
const overHttps = secureHeaders({ ...common, strictTransportSecurity: 'max-age=31536000' });
// A header about https in an answer without it is to be ignored (RFC 6797, section 7.2), so none is sent.
const overHttp = secureHeaders({ ...common, strictTransportSecurity: false });

type HeaderList = readonly (readonly [name: string, value: string])[];

/** By origin, which is all that they depend on: made for each answer they would cost a webhook a twentieth of its time. */
const known = new Map<string, HeaderList>();
/** The origin comes from outside. */
const MOST_KNOWN = 50;

async function headersOf(origin: string): Promise<HeaderList> {
  const before = known.get(origin);
  if (before) return before;
  const probe = new Hono().use(origin.startsWith('https:') ? overHttps : overHttp).all('*', (c) => c.body(null));
  const made = [...(await probe.request(`${origin}/`)).headers];
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(origin, made);
  return made;
}

/** Sets them on every answer but the one that opens a socket, which cannot be changed. */
export const securityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  if (c.res.status === 101) return;
  const ours = await headersOf(new URL(c.req.url).origin);
  try {
    setAll(c.res.headers, ours);
  } catch (error) {
    // Headers of an answer from an object or from the assets cannot be changed, so it is copied; another copy would cost a webhook.
    if (!(error instanceof TypeError)) throw error;
    const { status, statusText, body } = c.res;
    const headers = new Headers(c.res.headers);
    setAll(headers, ours);
    c.res = undefined;
    c.res = new Response(body, { status, statusText, headers });
  }
};

function setAll(headers: Headers, ours: HeaderList): void {
  const isPage = headers.get('content-type')?.startsWith('text/html') ?? false;
  // An answer that is not a page may have a stricter policy of its own.
  const own = isPage ? null : headers.get('content-security-policy');
  for (const [name, value] of ours) headers.set(name, value);
  if (own !== null) headers.set('content-security-policy', own);
  // What an answer says is true for one person and one moment, unless it says otherwise.
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
}

function ownSocket(c: Context): string {
  const { protocol, host } = new URL(c.req.url);
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;
}
