/** Foreign text: what anybody wrote is shown as text, served as text, and read in time that its length explains. */
import { createHash } from 'node:crypto';
import type { Claims } from '../../src/gateway/token.ts';
import { type Attack, answers, held } from './attack.ts';
import { STRANGERS_WORKSPACE, type Target } from './target.ts';
import { genuineWebhook } from './webhook-attacks.ts';

const MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(1)>';

/** How much longer a hostile text may take than a plain one of the same size, and what the machine may add. */
const MOST_TIMES = 20;
const SLACK_MS = 2_000;

/** @param claims of a session that is at work */
export function textAttacks(claims: Claims): Attack[] {
  return [
    {
      name: 'Markup in the title and the text of an issue is no markup on any page, in the list, the log or the patch',
      attempt: async (target) => {
        const thread = target.assign(MARKUP, `${MARKUP} [script: no-change]`);
        const session = await target.session(thread);
        await session.turnEnded(1, 240_000);
        for (const path of [
          `/sessions/${session.id}`,
          `/api/sessions/${session.id}`,
          `/api/sessions/${session.id}/log`,
          '/api/sessions',
          '/install',
        ]) {
          const response = await target.ask(path, { headers: target.password });
          const text = await answers(path, response, 200);
          const type = response.headers.get('content-type') ?? '';
          held(`${path} (${type})`, !type.startsWith('text/html') || !text.includes('<script>alert'));
          held(`${path} may not be sniffed`, response.headers.get('x-content-type-options') === 'nosniff');
        }
      },
    },
    {
      name: 'Markup in the name of a workspace is no markup on the page that lists it',
      attempt: async (target) => {
        const response = await target.ask(`/api/admin/workspaces/${STRANGERS_WORKSPACE}`, {
          method: 'PUT',
          headers: { ...target.adminHeaders, 'content-type': 'application/json' },
          body: JSON.stringify({
            name: MARKUP,
            urlKey: 'x',
            appUserId: 'x',
            accessToken: 'lin_oauth_of_nobody_at_all',
          }),
        });
        await answers('an odd name', response, 200, 400);
        const page = await answers('/install', await target.ask('/install', { headers: target.password }), 200);
        held('the page shows it as text', !/<script>alert|<img src=x/.test(page));
      },
    },
    {
      name: 'A shared file is never a page: no markup, no script, a policy that is a sandbox',
      attempt: async (target) => {
        const token = await target.token(claims);
        for (const content of [
          `<html>${MARKUP}</html>`,
          '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        ]) {
          const hash = createHash('sha256').update(content).digest('hex');
          const headers = { 'content-length': String(content.length) };
          const stored = await target.gateway(token, `/shared/${hash}?name=a.html`, {
            method: 'PUT',
            body: content,
            headers,
          });
          await answers('a page as a file', stored, 201, 415);
          if (stored.status !== 201) continue;
          const path = `/api/sessions/${claims.s}/shared/${hash}?name=${encodeURIComponent('a.html"\r\nX: y')}`;
          const response = await target.ask(path, { headers: target.password });
          await response.body?.cancel();
          const type = response.headers.get('content-type') ?? '';
          held(`it is served as ${type}`, /^(text\/plain|application\/octet-stream)/.test(type));
          held('no header was added', response.headers.get('x') === null);
          held('its policy is a sandbox', (response.headers.get('content-security-policy') ?? '').includes('sandbox'));
          held('nothing is sniffed', response.headers.get('x-content-type-options') === 'nosniff');
        }
      },
    },
    {
      name: 'A hostile text costs what a plain one of its size costs',
      attempt: async (target) => {
        const size = 95_000;
        const plain = await costOf(target, 'x'.repeat(size));
        for (const text of [
          `<${' '.repeat(size)}`,
          '\r'.repeat(size),
          '`'.repeat(size),
          '['.repeat(size),
          '[script:'.repeat(size / 8),
          '<!--'.repeat(size / 4),
          'a@'.repeat(size / 2),
          '\u202e'.repeat(size / 3),
        ]) {
          const ms = await costOf(target, text);
          held(`${JSON.stringify(text.slice(0, 8))}: ${ms} ms beside ${plain} ms`, ms <= MOST_TIMES * plain + SLACK_MS);
        }
      },
    },
  ];
}

/** The quickest of three, in ms: how long the machine took meanwhile for others says nothing. */
async function costOf(target: Target, text: string): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const body = genuineWebhook(target, { title: text });
    const since = performance.now();
    await answers('a long text', await target.webhook(body), 200);
    times.push(performance.now() - since);
  }
  return Math.round(Math.min(...times));
}
