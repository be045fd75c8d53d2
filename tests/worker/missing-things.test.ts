import { env, exports } from 'cloudflare:workers';
import { beforeEach, expect, it } from 'vitest';
import worker from '../../src/index.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { FakeLinear } from './support/fake-linear.ts';
import { bindingsOf, installed, person, signedIn } from './support/people.ts';
import { Program, tokenOf } from './support/programs.ts';

/** What is asked about that is not there, in the place of each parameter. */
const MISSING: Record<string, string> = {
  workspace: 'no-such-workspace',
  owner: 'acme',
  name: 'shop',
  rest: 'shop/mcp-servers',
  hash: 'a'.repeat(64),
};
/** The first sends on to its new name; the second lets a browser in, and closes the socket with a code that says why. */
const OTHERS = ['/api/admin/workspaces/:id/line', '/api/sessions/:id/live'];
const paths = [
  ...new Set(
    worker.routes.flatMap(({ method, path }) =>
      method === 'GET' && /:(id|workspace)\b/.test(path) && !path.startsWith('/gateway') ? [path] : [],
    ),
  ),
].filter((path) => !OTHERS.includes(path));

let owner: Program;

beforeEach(async () => {
  spyOnLog();
  const linear = new FakeLinear();
  const ada = person(linear, await installed(linear, 'Acme'), 'Ada', { admin: true });
  const bindings = bindingsOf({ SIGN_IN: 'linear', OWNERS: ada.id });
  owner = new Program((await tokenOf(await signedIn(linear, ada, bindings), 'admin')).token, bindings);
});

async function statusOf(path: string): Promise<number> {
  const isSession = path.includes('/sessions/');
  const id = isSession ? env.ISSUE_SESSION.idFromName('nobody').toString() : 'no-such-workspace';
  const address = path.replaceAll(/:(\w+)(\{[^/]*\}|\{.*\})?/g, (_, name: string) => ({ ...MISSING, id })[name] ?? 'x');
  const query = address.endsWith('/find') ? '?text=x' : '';
  if (address.startsWith('/api/v1')) {
    const headers: Record<string, string> = address.endsWith('/live') ? { upgrade: 'websocket' } : {};
    return (await owner.ask('GET', address.slice('/api/v1'.length), undefined, headers)).status;
  }
  const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}` };
  const answer = await exports.default.fetch(`http://cyrus.test${address}${query}`, { headers });
  await answer.body?.cancel();
  return answer.status;
}

it('every address about a session or a workspace says 404 to who may see all, if it is not there', async () => {
  expect(paths.length).toBeGreaterThan(20);
  const answers = [];
  for (const path of paths) answers.push(`${path} ${await statusOf(path)}`);
  expect(answers).toEqual(paths.map((path) => `${path} 404`));
});
