import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { type AdminHost, startAdminHost } from '../unit/support/admin-host.ts';
import { type RunOptions, runRepositories } from './repositories-command.ts';

// The platform's own module: what the admin API imports has classes of objects in it, which are not made here.
vi.mock('cloudflare:workers', () => ({ DurableObject: class {}, WorkerEntrypoint: class {}, env: {} }));

const SECRET = 'secret-of-the-notes';
let host: AdminHost;
let workspace: string;
beforeAll(async () => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  host = await startAdminHost();
});
afterAll(() => host.close());
beforeEach(() => {
  workspace = crypto.randomUUID();
  host.addWorkspace(workspace, `Acme-${workspace.slice(0, 8)}`);
});

const addRepository = () => run(['add', 'acme/shop', '--clone-url', 'https://git.example/acme/shop.git']);

const run = (args: string[], more: RunOptions = {}) => runRepositories(host, [...args, '--workspace', workspace], more);

it('MCP servers are added, listed and removed; their secrets go in by the environment or standard input', async () => {
  await addRepository();
  const notes = ['mcp', 'add', 'acme/shop', 'notes', '--http', 'https://notes.example.com/mcp', '--tool', 'read_*'];
  const added = await run([...notes, '--bearer', '--secret-stdin'], { stdin: `${SECRET}\n` });
  expect(added).toMatchObject({ code: 0, err: '' });
  expect(host.asked.at(-1)?.body).toMatchObject({ headers: { Authorization: `Bearer ${SECRET}` }, tools: ['read_*'] });
  expect((await run(['mcp', 'add', 'acme/shop', 'linear', '--linear'])).code).toBe(0);
  const program = ['--command', 'calculate', '--arg=--fast', '--arg', 'x', '--env', 'PRECISION=a=b'];
  expect((await run(['mcp', 'add', 'acme/shop', 'calculator', ...program])).code).toBe(0);
  expect(host.asked.at(-1)?.body).toMatchObject({ args: ['--fast', 'x'], env: { PRECISION: 'a=b' } });
  const { out } = await run(['mcp', 'list', 'acme/shop']);
  expect(out.trim().split('\n')).toEqual([
    'calculator  calculate --fast x',
    'linear  linear',
    'notes  https://notes.example.com/mcp, with Authorization; only read_*',
  ]);
  expect(out).not.toContain(SECRET);
  expect((await run(['mcp', 'remove', 'acme/shop', 'linear'])).out).toBe('linear is removed.\n');
  const { servers } = JSON.parse((await run(['mcp', 'list', 'acme/shop', '--json'])).out);
  expect(servers).toHaveLength(2);
});

it('what is stored of the credential is kept if nothing is said of it', async () => {
  await addRepository();
  const notes = ['mcp', 'add', 'acme/shop', 'notes', '--http', 'https://notes.example.com/mcp'];
  await run([...notes, '--header', 'x-api-key'], { env: { CYRUS_MCP_SECRET: SECRET } });
  expect((await run([...notes, '--tool', 'read_note'])).out).toContain('with x-api-key; only read_note');
  expect((await run([...notes, '--no-header'])).out).not.toContain('x-api-key');
});

it.each([
  [['mcp'], /Say `mcp list`/],
  [['mcp', 'add', 'acme/shop'], /Say which server/],
  [['mcp', 'add', 'acme/shop', 'notes'], /Say what it is/],
  [['mcp', 'add', 'acme/shop', 'notes', '--linear', '--http', 'https://x.example.com'], /Say what it is/],
  [['mcp', 'add', 'acme/shop', 'notes', '--linear', '--bearer'], /--bearer goes with --http/],
  [['mcp', 'add', 'acme/shop', 'notes', '--http', 'https://x.example.com', '--bearer'], /set CYRUS_MCP_SECRET/],
  [['mcp', 'add', 'acme/shop', 'notes', '--command', 'x', '--env', 'NAME'], /NAME=VALUE/],
  [['mcp', 'add', 'acme/shop', '../x', '--linear'], /no name of a server/],
])('a command that lacks something says in one line what: %j', async (args, words) => {
  const { code, err } = await run(args);
  expect(code).toBe(2);
  expect(err).toMatch(words);
  expect(err.trim().split('\n')).toHaveLength(1);
});

it('a server that the deployment refuses is refused in its words', async () => {
  await addRepository();
  const { code, err } = await run(['mcp', 'add', 'acme/shop', 'notes', '--http', 'http://notes.example.com']);
  expect(code).toBe(1);
  expect(err).toContain('must be https');
});
