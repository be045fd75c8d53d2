/** `npm run setup`, `deploy` and `doctor` as they are run, in a checkout of their own, against an imitated Cloudflare account. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { accountSchema } from '../../dev/cloudflare/account.ts';
import { PROJECT } from '../../dev/settings.ts';

let folder: string;
let project: string;
let server: Server;
let address: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-checkout-'));
  project = join(folder, 'cyrus');
  for (const name of ['dev', 'src', 'migrations', 'wrangler.toml', 'package.json', 'tsconfig.json']) {
    cpSync(join(PROJECT, name), join(project, name), { recursive: true });
  }
  symlinkSync(join(PROJECT, 'node_modules'), join(project, 'node_modules'));
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  const node = process.execPath;
  for (const [name, script] of [
    ['wrangler', `exec '${node}' '${join(project, 'dev/cloudflare/wrangler.ts')}' "$@"`],
    ['docker', 'echo 28.0'],
    ['vite', 'true'],
    ['npm', `echo '"2.1.330"'`],
  ] as const) {
    writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(programs, name), 0o755);
  }
  server = createServer((request, response) => {
    response.writeHead(request.url === '/ready' ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ok: true, checks: [], error: 'not_found', message: 'none' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const listening = server.address();
  if (listening === null || typeof listening === 'string') throw new Error('the server has no port');
  address = `http://127.0.0.1:${listening.port}`;
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(script: string, args: string[], more: Record<string, string> = {}) {
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    CYRUS_PROGRAMS: join(folder, 'programs'),
    CYRUS_ACCOUNT: join(folder, 'account.json'),
    CYRUS_ADDRESS: address,
    ...more,
  };
  const child = spawn(process.execPath, [join(project, 'dev', script), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (out += chunk));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out };
}

const account = () => accountSchema.parse(JSON.parse(readFileSync(join(folder, 'account.json'), 'utf8')));

it('an empty account becomes a deployment by the commands of the documentation', async () => {
  const before = readFileSync(join(project, 'wrangler.toml'), 'utf8');
  const dry = [await run('setup.ts', ['--yes', '--dry-run']), await run('setup.ts', ['--yes', '--dry-run'])];
  expect(dry[1]).toEqual(dry[0]);
  expect(dry[0]).toMatchObject({ code: 0, out: expect.stringContaining('Nothing was changed.') });
  expect(account()).toMatchObject({ databases: [], buckets: [], workers: {} });
  expect(readFileSync(join(project, 'wrangler.toml'), 'utf8')).toBe(before);

  const token = { CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-of-the-test' };
  const broken = await run('setup.ts', ['--yes', '--region', 'enam'], {
    ...token,
    CYRUS_BREAKS_AT: 'r2 bucket create',
  });
  expect(broken).toMatchObject({
    code: 1,
    out: expect.stringContaining('Run npm run setup again; it goes on from here.'),
  });
  const done = await run('setup.ts', ['--yes', '--region', 'enam'], token);
  expect(done).toMatchObject({ code: 0, out: expect.stringContaining(`${address}/install`) });
  expect(done.out).toContain('Database: cyrus-db is there (done)');
  expect(account()).toMatchObject({
    databases: [{ name: 'cyrus-db', location: 'enam' }],
    buckets: [{ name: 'cyrus-logs', location: 'enam' }],
    workers: { cyrus: { database: 'cyrus-db', bucket: 'cyrus-logs' } },
  });
  // Nobody else of this machine may read it.
  expect(statSync(join(project, 'production.secrets')).mode & 0o077).toBe(0);

  const deployed = await run('deploy.ts', []);
  expect(deployed).toMatchObject({ code: 0, out: expect.stringContaining(`Ready: ${address}`) });
  expect(deployed.out).toContain('npx wrangler d1 time-travel restore cyrus-db --bookmark=');
  expect(account().workers.cyrus?.versions).toHaveLength(2);

  // What was chosen since is not taken back by a setup that does not say it again.
  const file = join(project, 'wrangler.toml');
  const chosen = readFileSync(file, 'utf8').replace(
    'CLAUDE_CREDENTIAL = "subscription"',
    'CLAUDE_CREDENTIAL = "api-key"',
  );
  writeFileSync(file, chosen);
  const repeated = await run('setup.ts', ['--yes'], { ANTHROPIC_API_KEY: 'sk-ant-api03-of-the-test' });
  expect(repeated).toMatchObject({ code: 0, out: expect.stringContaining('it says what you chose (done)') });
  expect(readFileSync(file, 'utf8')).toBe(chosen);
  expect(account().workers.cyrus?.secrets).toMatchObject({ ANTHROPIC_API_KEY: 'sk-ant-api03-of-the-test' });
}, 240_000);

it('a deploy that is asked for its help deploys nothing', async () => {
  const before = readFileSync(join(project, 'wrangler.toml'), 'utf8');
  const asked = await run('deploy.ts', ['--help']);
  expect(asked).toMatchObject({ code: 0, out: expect.stringMatching(/^npm run deploy .*--name NAME/s) });
  expect(asked.out).not.toContain('Building');
  expect(readFileSync(join(project, 'wrangler.toml'), 'utf8')).toBe(before);
});

it('the doctor names an address that is no deployment, and ends with 1', async () => {
  const environment = { CYRUS_URL: address, ADMIN_TOKEN: 'admin-token-of-the-test-0123456789' };
  const shown = await run('doctor.ts', ['--json'], environment);
  expect(shown.code).toBe(1);
  const { findings } = JSON.parse(shown.out);
  expect(findings).toContainEqual(expect.objectContaining({ name: 'deployment', verdict: 'bad' }));
  // Of another name it looks at that one's secrets.
  const elsewhere = { ...environment, CYRUS_URL: 'https://cyrus.invalid' };
  const other = await run('doctor.ts', ['--json', '--name', 'cyrus-staging'], elsewhere);
  expect(JSON.parse(other.out).findings).toContainEqual(
    expect.objectContaining({ name: 'secrets', words: 'wrangler did not list the secrets of cyrus-staging' }),
  );
  expect((await run('doctor.ts', ['--colour'], environment)).code).toBe(2);
}, 120_000);
