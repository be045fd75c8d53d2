import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { ADMIN_TOKEN, type AdminHost, startAdminHost } from '../unit/support/admin-host.ts';
import { type RunOptions, runRepositories } from './repositories-command.ts';

// The platform's own module: what the admin API imports has classes of objects in it, which are not made here.
vi.mock('cloudflare:workers', () => ({ DurableObject: class {}, WorkerEntrypoint: class {}, env: {} }));

let host: AdminHost;
const folder = mkdtempSync(join(tmpdir(), 'cyrus-repositories-'));
const CLONE_URL = 'https://git.example/acme/shop.git';
const AT_GITHUB = 'https://github.com/acme/shop.git';

beforeAll(async () => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  host = await startAdminHost();
});
afterAll(() => host.close());

/** Runs the command as a process, as npm does. */
const run = (args: string[], more: RunOptions = {}) => runRepositories(host, args, more);

/** Runs the command, which has to succeed, and reads its JSON. */
async function json(args: string[], more?: Parameters<typeof run>[1]): Promise<Record<string, unknown>> {
  const { code, out, err } = await run([...args, '--json'], more);
  if (code !== 0) throw new Error(err);
  return JSON.parse(out);
}

describe('in a workspace of its own', () => {
  let workspace: string;
  const at = (...args: string[]) => [...args, '--workspace', workspace];
  const shown = () => json(at('show', 'acme/shop'));
  /** The credential that the deployment was last given; undefined: nothing was said of it. */
  const given = () => host.asked.findLast(({ method }) => method !== 'GET')?.body as { credential?: unknown };

  beforeEach(() => {
    workspace = crypto.randomUUID();
    host.addWorkspace(workspace, `Acme-${workspace.slice(0, 8)}`);
  });

  it('a repository is added, listed, shown, changed and removed', async () => {
    const added = await run(at('add', 'acme/shop', '--clone-url', CLONE_URL, '--label', 'frontend', '--team', 'ENG'));
    expect(added).toMatchObject({ code: 0, err: '' });
    expect(added.out).toContain('acme/shop is added');
    expect((await run(at('list'))).out).toMatch(/acme\/shop +main +https.*public +labels: frontend; teams: ENG/);
    await json(at('set', 'acme/shop', '--base-branch', 'trunk', '--no-team', '--default', '--tools', 'safe'));
    expect(await json(at('show', 'acme/shop'))).toMatchObject({
      baseBranch: 'trunk',
      settings: { labels: ['frontend'], teams: [], isDefault: true, tools: 'safe' },
    });
    expect((await run(at('remove', 'acme/shop'))).out).toBe('acme/shop is removed.\n');
    expect(host.countRepositories(workspace)).toBe(0);
    expect((await run(at('list'))).out).toContain('has no repository yet');
  });

  it('every setting can be set by options, by names, or by a file over which options win', async () => {
    const file = join(folder, `${workspace}.json`);
    writeFileSync(file, JSON.stringify({ model: 'haiku', verbosity: 'quiet', roleLabels: { scoper: ['Idea'] } }));
    const instructions = join(folder, `${workspace}.md`);
    writeFileSync(instructions, 'Run `make lint`.\n');
    const options = [
      ...['--label', 'a', '--label', 'b', '--project', 'Cart', '--team', 'ENG', '--default'],
      ...['--allow-user', 'ada@example.com', '--block-user', 'eve', '--allow-team', 'ENG', '--block-team', 'OPS'],
      ...['--tools', 'Read,Bash(npm run a, b:*)', '--model', 'opus'],
      ...['--role-label', 'debugger=Incident', '--role-label', 'debugger=Outage', '--instructions-file', instructions],
      ...['--role-instructions', 'reviewer=Mind the API = all of it.', '--settings', file],
      ...['--setting', 'pullRequest.mode=draft', '--setting', 'pullRequest.closesIssue=false'],
      ...['--setting', 'otherTools=ask', '--setting', 'askFirst=["Bash(npm publish:*)"]'],
    ];
    await json(at('add', 'acme/shop', '--clone-url', CLONE_URL, ...options));
    const settings = repositorySettingsSchema.parse((await shown()).settings);
    expect(settings).toEqual({
      ...repositorySettingsSchema.parse({}),
      labels: ['a', 'b'],
      projects: ['Cart'],
      teams: ['ENG'],
      isDefault: true,
      allowedUsers: ['ada@example.com'],
      blockedUsers: ['eve'],
      allowedTeams: ['ENG'],
      blockedTeams: ['OPS'],
      tools: ['Read', 'Bash(npm run a, b:*)'],
      otherTools: 'ask',
      askFirst: ['Bash(npm publish:*)'],
      model: 'opus',
      verbosity: 'quiet',
      roleLabels: { scoper: ['Idea'], debugger: ['Incident', 'Outage'] },
      instructions: 'Run `make lint`.\n',
      roleInstructions: { reviewer: 'Mind the API = all of it.' },
      pullRequest: { ...settings.pullRequest, mode: 'draft', closesIssue: false },
    });
    await json(at('set', 'acme/shop', '--no-model', '--setting', 'roleLabels.scoper=null', '--no-tools'));
    const { model, tools, roleLabels } = repositorySettingsSchema.parse((await shown()).settings);
    expect({ model, tools, roleLabels }).toEqual({
      model: undefined,
      tools: undefined,
      roleLabels: { debugger: ['Incident', 'Outage'] },
    });
  });

  it('a credential comes from standard input or the environment, stays through later changes, and is never shown', async () => {
    const secret = 'git-secret-of-the-test';
    const added = await run(at('add', 'acme/shop', '--clone-url', AT_GITHUB, '--username', 'cyrus', '--secret-stdin'), {
      stdin: `${secret}\n`,
    });
    expect(added.out).toContain('with credential');
    expect(given().credential).toEqual({ username: 'cyrus', password: secret });
    const changed = await run(at('set', 'acme/shop', '--verbosity', 'quiet', '--json'));
    expect(given()).toEqual({ settings: { verbosity: 'quiet' } });
    expect(await shown()).toMatchObject({ hasCredential: true });
    expect(`${added.out}${added.err}${changed.out}${changed.err}`).not.toContain(secret);
    const env = { CYRUS_GIT_SECRET: 'ghp_of_the_test' };
    await json(at('set', 'acme/shop', '--credential', 'github-token'), { env });
    expect(given().credential).toEqual({ kind: 'github-token', token: 'ghp_of_the_test' });
    // There is no GitHub App in this deployment, and what it says about that is passed on.
    const refused = await run(at('set', 'acme/shop', '--credential', 'github-app'));
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('GITHUB_APP_ID') });
    expect(given().credential).toEqual({ kind: 'github-app' });
    expect(await shown()).toMatchObject({ hasCredential: true });
    await json(at('set', 'acme/shop', '--credential', 'none'));
    expect(await shown()).toMatchObject({ hasCredential: false });
  });

  it('a credential does not follow the repository to another address', async () => {
    const env = { CYRUS_GIT_SECRET: 'git-secret-of-the-test' };
    await json(at('add', 'acme/shop', '--clone-url', CLONE_URL, '--credential', 'basic'), { env });
    const moved = ['set', 'acme/shop', '--clone-url', 'https://elsewhere.example/shop.git'];
    const refused = await run(at(...moved));
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.err).toContain('give one with the new address');
    expect(await shown()).toMatchObject({ cloneUrl: CLONE_URL });
    await json(at(...moved, '--credential', 'none'));
    expect(await shown()).toMatchObject({ cloneUrl: 'https://elsewhere.example/shop.git', hasCredential: false });
  });

  it('its sandboxes run on a server of one’s own, whose secret is given but never shown, or in a container', async () => {
    await json(at('add', 'acme/shop', '--clone-url', CLONE_URL));
    const env = { CYRUS_SANDBOX_SECRET: 'secret-of-the-server-0123' };
    const { code, out, err } = await run(at('sandbox', 'acme/shop', '--endpoint', 'https://build.example'), { env });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).not.toContain(env.CYRUS_SANDBOX_SECRET);
    expect(await shown()).toMatchObject({ settings: { sandbox: { kind: 'endpoint', url: 'https://build.example' } } });
    const given = host.asked.find(({ path }) => path.includes(`${workspace}/sandbox-secrets/acme/shop`));
    expect(given?.body).toEqual({ url: 'https://build.example', secret: env.CYRUS_SANDBOX_SECRET });
    await json(at('sandbox', 'acme/shop', '--container'));
    expect(await shown()).toMatchObject({ settings: { sandbox: { kind: 'container' } } });
    expect((await run(at('sandbox', 'acme/shop'))).code).toBe(2);
  });

  it('who may give work is set for the whole workspace', async () => {
    await json(at('workspace', 'set', '--allow-user', 'ada@example.com', '--block-team', 'OPS'));
    await json(at('workspace', 'set', '--block-user', 'eve', '--no-block-team'));
    expect((await json(at('workspace'))).settings).toEqual({
      allowedUsers: ['ada@example.com'],
      blockedUsers: ['eve'],
      allowedTeams: [],
      blockedTeams: [],
    });
    const { out } = await run(at('workspace'));
    expect(out).toMatch(/allowedUsers +ada@example\.com/);
    expect(out).toContain('3 since 2026-11-23');
  });

  it.each([
    ['a repository that is not there', ['set', 'acme/none', '--default'], 1, 'has no repository acme/none'],
    ['no clone address', ['add', 'acme/shop'], 2, '--clone-url'],
    ['a secret in the address', ['add', 'acme/shop', '--clone-url', 'https://me:x@git.example/a.git'], 1, 'credential'],
    ['a name that is none', ['add', 'shop', '--clone-url', CLONE_URL], 2, 'OWNER/NAME'],
    ['a setting that is none', ['add', 'a/b', '--clone-url', CLONE_URL, '--setting', 'lable=x'], 1, 'lable'],
    ['a verbosity that is none', ['add', 'a/b', '--clone-url', CLONE_URL, '--verbosity', 'loud'], 1, 'verbosity'],
    ['a file that is not there', ['add', 'a/b', '--clone-url', CLONE_URL, '--settings', '/nowhere'], 2, '/nowhere'],
    ['a role without a label', ['add', 'a/b', '--clone-url', CLONE_URL, '--role-label', 'x'], 2, 'NAME=VALUE'],
    ['yes and no at once', ['add', 'a/b', '--clone-url', CLONE_URL, '--label', 'x', '--no-label'], 2, 'contradict'],
    ['a credential without its secret', ['add', 'a/b', '--clone-url', CLONE_URL, '--username', 'x'], 2, 'secret'],
    ['nothing to change', ['set', 'a/b'], 2, 'what to change'],
    ['a label for a workspace', ['workspace', 'set', '--label', 'x'], 2, '--label'],
    ['too many words', ['list', 'a/b'], 2, 'too much'],
    ['a workspace that is not there', ['list', '--workspace', 'nobody'], 2, 'nobody'],
  ])('%s is an error in a line that names it, and nothing is stored', async (_what, args, code, words) => {
    const ran = await run(args.includes('--workspace') ? args : at(...args));
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.err).toContain(words);
    expect(ran.err).toMatch(/^cyrus: /);
    expect(ran.err).not.toContain('    at ');
    expect(host.countRepositories(workspace)).toBe(0);
  });

  it('what is there already is not added again', async () => {
    await json(at('add', 'acme/shop', '--clone-url', CLONE_URL));
    expect(await run(at('add', 'acme/shop', '--clone-url', CLONE_URL))).toMatchObject({
      code: 2,
      err: 'cyrus: acme/shop is there already; change it by `set`.\n',
    });
  });
});

describe('which deployment', () => {
  it('without a workspace if there are several, they are named', async () => {
    host.addWorkspace(crypto.randomUUID(), 'Other');
    host.addWorkspace(crypto.randomUUID(), 'Another');
    const { code, err } = await run(['list']);
    expect(code).toBe(2);
    expect(err).toMatch(/choose by --workspace, of .*another/);
  });

  it('that refuses the token is named', async () => {
    const { code, err } = await run(['list'], { env: { ADMIN_TOKEN: 'wrong' } });
    expect({ code, err }).toEqual({ code: 1, err: `cyrus: ${host.url} does not accept the ADMIN_TOKEN.\n` });
  });

  it('over http is refused unless it is this machine: the token would travel in the open', async () => {
    const { code, err } = await run(['list', '--url', 'http://cyrus.example']);
    expect(code).toBe(2);
    expect(err).toContain('not https');
  });

  it('is asked for a token if none is known, which is never an option', async () => {
    const without = await run(['list', '--url', 'https://cyrus.example'], { env: { ADMIN_TOKEN: '' } });
    expect(without).toMatchObject({
      code: 2,
      err: expect.stringContaining('set the environment variable ADMIN_TOKEN'),
    });
    const option = await run(['list', '--token', ADMIN_TOKEN]);
    expect(option).toMatchObject({ code: 2, err: expect.stringContaining('A secret is no option') });
    expect(option.err).not.toContain(ADMIN_TOKEN);
  });

  it('--help tells all of it', async () => {
    const { code, out } = await run(['--help']);
    expect(code).toBe(0);
    for (const word of ['list', 'add', 'set', 'remove', 'workspace', '--url', '--settings', 'ADMIN_TOKEN']) {
      expect(out).toContain(word);
    }
  });
});
