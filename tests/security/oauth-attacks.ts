/** Installing: nobody is sent elsewhere, nobody's browser finishes what another one began, and no workspace comes in uninvited. */
import { type Attack, held } from './attack.ts';
import type { Target } from './target.ts';

interface Begun {
  state: string;
  cookie: string;
  address: URL;
}

async function begin(target: Target, query = ''): Promise<Begun> {
  const response = await target.ask(`/oauth/authorize${query}`, { headers: target.password });
  held(`the installation begins: ${response.status}`, response.status === 302);
  const address = new URL(response.headers.get('location') ?? '');
  const cookie = response.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ');
  return { state: address.searchParams.get('state') ?? '', cookie, address };
}

/** @throws NotHeld unless it is refused by a page of Cyrus's own */
async function isRefused(target: Target, what: string, path: string, cookie?: string): Promise<string> {
  const response = await target.ask(path, { headers: { ...target.password, ...(cookie !== undefined && { cookie }) } });
  const text = await response.text();
  held(`${what}: ${response.status}`, response.status >= 400 && response.status < 500);
  held(`${what} leads nowhere`, response.headers.get('location') === null);
  return text;
}

async function workspaces(target: Target): Promise<string> {
  const response = await target.ask('/api/admin/workspaces', { headers: target.adminHeaders });
  const { workspaces: all } = (await response.json()) as { workspaces: { id: string }[] };
  return all.map(({ id }) => id).join();
}

export const oauthAttacks: Attack[] = [
  {
    name: 'Linear is asked with a state and a challenge that nobody can guess, for what Cyrus needs, and by its own address',
    attempt: async (target) => {
      const [one, other] = [await begin(target), await begin(target)];
      held('each has a state of its own', one.state !== other.state && one.state.length >= 20);
      held('a challenge by SHA-256', one.address.searchParams.get('code_challenge_method') === 'S256');
      held('its own address', one.address.searchParams.get('redirect_uri') === `${target.stack.url}/oauth/callback`);
      held('for the app', one.address.searchParams.get('actor') === 'app');
    },
  },
  {
    name: 'A callback without a state, with a made-up one, of another browser, or used twice installs nothing',
    attempt: async (target) => {
      const before = await workspaces(target);
      const mine = await begin(target);
      const theirs = await begin(target);
      await isRefused(target, 'no state', '/oauth/callback?code=x', mine.cookie);
      await isRefused(target, 'a made-up state', `/oauth/callback?code=x&state=${'A'.repeat(22)}`, mine.cookie);
      await isRefused(target, 'a huge state', `/oauth/callback?code=x&state=${'A'.repeat(9_000)}`, mine.cookie);
      await isRefused(target, 'a browser without the cookie', `/oauth/callback?code=x&state=${mine.state}`);
      await isRefused(target, 'another browser', `/oauth/callback?code=x&state=${mine.state}`, theirs.cookie);
      await isRefused(target, 'a forged cookie', `/oauth/callback?code=x&state=${theirs.state}`, `${theirs.cookie}A`);
      const again = await begin(target);
      const path = `/oauth/callback?code=wrong&state=${again.state}`;
      await isRefused(target, 'a wrong code', path, again.cookie);
      await isRefused(target, 'a state that was used', path, again.cookie);
      held('no workspace came in', before === (await workspaces(target)));
    },
  },
  {
    name: 'Nobody is sent to an address that the deployment does not list, however it is written',
    attempt: async (target) => {
      const { origin } = new URL(target.stack.url);
      for (const callback of [
        'https://evil.example',
        '//evil.example',
        'javascript:alert(1)',
        'data:text/html,x',
        `${origin}@evil.example`,
        `${origin}.evil.example`,
        'https:evil.example',
        'https:\\\\evil.example',
        `${origin}/..//evil.example`,
        '',
        '\t//evil.example',
      ]) {
        await isRefused(target, callback, `/oauth/authorize?callback=${encodeURIComponent(callback)}`);
      }
    },
  },
  {
    name: 'What Linear, or an impostor, says of an error is shown as text',
    attempt: async (target) => {
      const { state, cookie } = await begin(target);
      const words = encodeURIComponent('<script>alert(1)</script><img src=x onerror=alert(1)>');
      const path = `/oauth/callback?state=${state}&error=access_denied&error_description=${words}`;
      const text = await isRefused(target, 'a refusal', path, cookie);
      held('nothing of it is markup', !/<script>alert|<img src=x/.test(text));
    },
  },
];
