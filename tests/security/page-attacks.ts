/** Pages and their API: who does not know the password sees nothing, and no other site makes a browser act. */
import { type Attack, answers, held } from './attack.ts';
import type { Target } from './target.ts';

const PAGES = ['/', '/api/sessions', '/install', '/oauth/authorize', '/oauth/callback', '/sessions/abc'];

async function withCookie(target: Target): Promise<string> {
  const response = await target.ask('/api/sessions', { headers: target.password });
  await answers('the password', response, 200);
  const cookie = response.headers.get('set-cookie') ?? '';
  held(
    'the cookie is bound to the host, hidden from scripts, and Lax',
    /__Host-.*HttpOnly.*Secure.*SameSite=Lax/i.test(cookie),
  );
  return cookie.split(';')[0] ?? '';
}

/** Every request by which a page changes something. */
function changes(id: string): { path: string; body: object }[] {
  return [
    { path: `/api/sessions/${id}/prompts`, body: { id: crypto.randomUUID(), text: 'Forged' } },
    { path: `/api/sessions/${id}/stop`, body: { id: crypto.randomUUID() } },
  ];
}

export function pageAttacks(sessionId: string): Attack[] {
  return [
    {
      name: 'Without the password no page, list, session, log or socket is given out',
      attempt: async (target) => {
        for (const path of [
          ...PAGES,
          ...['', '/log', '/patch', '/egress', '/live'].map((end) => `/api/sessions/${sessionId}${end}`),
        ]) {
          const text = await answers(path, await target.ask(path), 401);
          held(`${path} tells nothing`, !text.includes('acme/shop'));
        }
      },
    },
    {
      name: 'Wrong passwords, empty ones and those of another scheme open nothing',
      attempt: async (target) => {
        const { accessPassword, adminToken } = target.stack.secrets;
        for (const authorization of [
          `Basic ${btoa('a:')}`,
          `Basic ${btoa(`a:${accessPassword} `)}`,
          `Basic ${btoa(`a:${accessPassword.slice(0, -1)}`)}`,
          `Basic ${btoa(`${accessPassword}:`)}`,
          `Bearer ${accessPassword}`,
          `Basic ${btoa(`a:${adminToken}`)}`,
          'Basic %%%',
        ]) {
          await answers(authorization, await target.ask('/api/sessions', { headers: { authorization } }), 401);
        }
      },
    },
    {
      name: 'A forged, an expired and a changed cookie open nothing',
      attempt: async (target) => {
        const cookie = await withCookie(target);
        await answers('the genuine one', await target.ask('/api/sessions', { headers: { cookie } }), 200);
        const [name = '', value = ''] = cookie.split('=');
        const [expires = '', signature = ''] = value.split('.');
        for (const forged of [
          `${name}=${Number(expires) + 1}.${signature}`,
          `${name}=1.${signature}`,
          `${name}=${expires}.`,
          `${name}=${expires}.${signature}.x`,
          `${name}=${value}A`,
          `${name.replace('__Host-', '')}=${value}`,
        ]) {
          await answers(forged, await target.ask('/api/sessions', { headers: { cookie: forged } }), 401);
        }
      },
    },
    {
      name: 'No other site makes a signed-in browser change anything, by a form, by script or by a socket',
      attempt: async (target) => {
        const cookie = await withCookie(target);
        for (const { path, body } of changes(sessionId)) {
          const send = (headers: Record<string, string>, sent: string = JSON.stringify(body)) =>
            target.ask(path, { method: 'POST', headers: { cookie, ...headers }, body: sent });
          const json = { 'content-type': 'application/json' };
          await answers(`${path} from elsewhere`, await send({ ...json, origin: 'https://evil.example' }), 403);
          await answers(`${path} from a sandboxed frame`, await send({ ...json, origin: 'null' }), 403);
          await answers(`${path} of another site`, await send({ ...json, 'sec-fetch-site': 'cross-site' }), 403);
          await answers(`${path} of a sister site`, await send({ ...json, 'sec-fetch-site': 'same-site' }), 403);
          await answers(`${path} as a form`, await send({ 'content-type': 'application/x-www-form-urlencoded' }), 415);
          await answers(`${path} as text`, await send({ 'content-type': 'text/plain' }), 415);
        }
        const socket = { cookie, upgrade: 'websocket', connection: 'Upgrade', origin: 'https://evil.example' };
        // fetch would take the word Upgrade off; that is not what is tried here.
        const { sendRaw } = await import('./raw-http.ts');
        const lines = Object.entries(socket).map(([name, value]) => `${name}: ${value}\r\n`);
        const request = `GET /api/sessions/${sessionId}/live HTTP/1.1\r\nHost: localhost:${target.port}\r\n${lines.join('')}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
        const answer = await sendRaw(target.port, Buffer.from(request), 30_000, false);
        held(`the socket of another site is refused: ${answer.status}`, answer.status === 403);
      },
    },
    {
      name: 'No answer may be framed, sniffed or kept, whatever is asked',
      attempt: async (target) => {
        const asked: [string, RequestInit][] = [
          ['/health', {}],
          ['/api/sessions', {}],
          ['/api/sessions', { headers: target.password }],
          ['/', { headers: target.password }],
          [`/api/sessions/${sessionId}/log`, { headers: target.password }],
          ['/api/admin/workspaces', {}],
          ['/webhooks/linear', { method: 'POST' }],
          ['/gateway/events', { method: 'POST' }],
          ['/install', { headers: target.password }],
          ['/oauth/callback', { headers: target.password }],
          ['/nothing-of-this-name', {}],
          ['/favicon.svg', {}],
        ];
        for (const [path, init] of asked) {
          const response = await target.ask(path, init);
          await response.body?.cancel();
          const policy = response.headers.get('content-security-policy') ?? '';
          held(`${path} may not be framed`, policy.includes("frame-ancestors 'none'"));
          held(`${path} may not be sniffed`, response.headers.get('x-content-type-options') === 'nosniff');
          held(`${path} tells no other site its address`, response.headers.get('referrer-policy') === 'no-referrer');
          if (path === '/favicon.svg' || path.startsWith('/nothing')) continue;
          held(`${path} is not kept`, (response.headers.get('cache-control') ?? '').includes('no-store'));
        }
      },
    },
    {
      name: 'Scripts and styles of the page, and other files, may not be framed or sniffed, and are asked for over https alone',
      attempt: async (target) => {
        const page = await answers('the page', await target.ask('/', { headers: target.password }), 200);
        const files = [...page.matchAll(/(?:src|href)="(\/[^"]+\.\w+)"/g)].map(([, path = '']) => path);
        held(
          `the page names its files: ${files.join()}`,
          files.filter((path) => path.startsWith('/assets/')).length > 1,
        );
        for (const path of new Set([...files, '/index.html', '/assets/nothing.js'])) {
          const response = await target.ask(path, { headers: target.password });
          await response.body?.cancel();
          const policy = response.headers.get('content-security-policy') ?? '';
          held(`${path} may not be framed`, policy.includes("frame-ancestors 'none'"));
          held(`${path} may not be sniffed`, response.headers.get('x-content-type-options') === 'nosniff');
          // The Worker says so over https only, as it should; a file always.
          if (path.startsWith('/assets/') && response.status === 200)
            held(
              `${path} over https alone`,
              (response.headers.get('strict-transport-security') ?? '').includes('max-age'),
            );
        }
      },
    },
    {
      name: 'The admin API takes the admin token alone, by its header alone',
      attempt: async (target) => {
        const { adminToken, accessPassword } = target.stack.secrets;
        for (const headers of [
          {},
          target.password,
          { authorization: `Bearer ${accessPassword}` },
          { authorization: `Bearer ${adminToken}x` },
          { authorization: adminToken },
          { authorization: `Basic ${btoa(`a:${adminToken}`)}` },
          { cookie: `token=${adminToken}` },
        ] as Record<string, string>[]) {
          for (const path of ['/api/admin/workspaces', `/api/admin/audit?token=${adminToken}`, '/api/admin/nothing']) {
            await answers(`${path} with ${JSON.stringify(headers)}`, await target.ask(path, { headers }), 401);
          }
        }
      },
    },
    {
      name: 'Secrets go into the admin API and never come out',
      attempt: async (target) => {
        const { id } = target.stack.linear.workspace;
        for (const path of [
          '/workspaces',
          `/workspaces/${id}`,
          `/workspaces/${id}/repositories`,
          '/audit',
          `/workspaces/${id}/settings`,
        ]) {
          const text = await answers(
            path,
            await target.ask(`/api/admin${path}`, { headers: target.adminHeaders }),
            200,
          );
          for (const [name, secret] of Object.entries(target.stack.secrets)) {
            held(`${path} does not tell ${name}`, !text.includes(secret));
          }
        }
      },
    },
  ];
}
