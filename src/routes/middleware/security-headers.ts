/** Headers that keep a page from being framed, from loading or sending anything elsewhere, and from telling where it was. */
import type { Context, MiddlewareHandler } from 'hono';
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

/** Sets them on every answer but the one that opens a socket, which cannot be changed. */
export const securityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  if (c.res.status === 101) return;
  // A copy, since headers of an answer from an object or from the assets cannot be changed.
  const response = new Response(c.res.body, c.res);
  c.res = undefined;
  c.res = response;
  const { headers } = response;
  const isPage = headers.get('content-type')?.startsWith('text/html') ?? false;
  // An answer that is not a page may have a stricter policy of its own.
  const own = isPage ? null : headers.get('content-security-policy');
  const set = new URL(c.req.url).protocol === 'https:' ? overHttps : overHttp;
  await set(c, async () => {});
  if (own !== null) headers.set('content-security-policy', own);
  // What an answer says is true for one person and one moment, unless it says otherwise.
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
};

function ownSocket(c: Context): string {
  const { protocol, host } = new URL(c.req.url);
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;
}
