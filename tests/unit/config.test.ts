import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config.ts';
import { readConfig } from '../../src/config/read-config.ts';
import { valid } from './support/variables.ts';

/** The problems a configuration is refused with. */
function problems(env: object): string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

it('the configuration is read as a whole, into one typed value', () => {
  const config = readConfig(valid);
  expect(config.claude).toEqual({
    apiUrl: 'https://api.anthropic.com',
    model: 'sonnet',
    access: { mode: 'subscription', secret: 'sk-ant-oat-1' },
    scripted: false,
    allowance: { betas: [], keys: [], tools: [], models: [] },
  });
  expect(config.linear.webhookMaxAgeMs).toBe(8 * 60 * 60 * 1000);
});

it('a wrong configuration is told with all its wrong values at once', () => {
  const { ADMIN_TOKEN: _, ...rest } = valid;
  expect(problems({ ...rest, ENCRYPTION_KEY: 'short', WEBHOOK_MAX_AGE_HOURS: 'soon' })).toEqual([
    expect.stringContaining('WEBHOOK_MAX_AGE_HOURS'),
    'ENCRYPTION_KEY: must be 32 random bytes in base64: openssl rand -base64 32',
    'ADMIN_TOKEN is not set',
  ]);
});

it('an API key in the place of a token is refused, and a token in the place of an API key, and neither is shown', () => {
  const asToken = problems({ ...valid, CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-api03-secret' });
  expect(asToken).toEqual([expect.stringMatching(/"default".* is an API key .*charged by use.*claude setup-token/)]);
  const tokens = problems({ ...valid, CLAUDE_CODE_OAUTH_TOKENS: 'work=sk-ant-api03-secret' });
  expect(tokens).toEqual([expect.stringMatching(/"work".* is an API key/)]);
  const { CLAUDE_CODE_OAUTH_TOKEN: _, ...rest } = valid;
  const asKey = problems({ ...rest, CLAUDE_CREDENTIAL: 'api-key', ANTHROPIC_API_KEY: 'sk-ant-oat01-secret' });
  expect(asKey).toEqual([expect.stringContaining('ANTHROPIC_API_KEY holds a token of a subscription')]);
  expect(JSON.stringify([asToken, tokens, asKey])).not.toContain('secret"');
  expect(JSON.stringify([asToken, tokens, asKey])).not.toContain('03-secret');
});

it('a budget that limits nothing under a subscription is named', () => {
  expect(readConfig({ ...valid, CLAUDE_BUDGET_MONTH_USD: '100' }).ignored).toEqual([
    expect.stringMatching(/^CLAUDE_BUDGET_MONTH_USD is set and limits nothing: .*CLAUDE_OVERAGE_USD\.$/),
  ]);
  expect(readConfig({ ...valid }).ignored).toEqual([]);
});

it('while a rotation is under way the next key writes, and the present one reads', () => {
  const next = btoa('another-key-of-32-bytes-0123456=');
  const config = readConfig({ ...valid, ENCRYPTION_KEY_NEXT: next });
  expect(config).toMatchObject({ encryptionKey: next, oldEncryptionKey: valid.ENCRYPTION_KEY });
  expect(problems({ ...valid, ENCRYPTION_KEY_NEXT: next, ENCRYPTION_KEY_OLD: next })).toEqual([
    expect.stringContaining('ENCRYPTION_KEY_NEXT and ENCRYPTION_KEY_OLD are both set'),
  ]);
});

it('an API key that lies around beside a subscription is refused by its name', () => {
  expect(problems({ ...valid, ANTHROPIC_API_KEY: 'sk-ant-api-1' })).toEqual([
    expect.stringContaining('remove the Worker secret ANTHROPIC_API_KEY'),
  ]);
});

it('a sandbox server is reached over plain http on this machine alone', () => {
  const endpoint = { ...valid, SANDBOX: 'endpoint', SANDBOX_ENDPOINT_SECRET: 'an endpoint secret' };
  expect(problems({ ...endpoint, SANDBOX_ENDPOINT_URL: 'http://build.example.com' })).toEqual([
    expect.stringContaining('must be https'),
  ]);
  expect(problems({ ...endpoint, SANDBOX_ENDPOINT_URL: 'http://127.0.0.1:8790' })).toEqual([]);
});

it('what sandboxes may ask of the API beyond the CLI is configured as entries by kind, and as nothing else', () => {
  const CLAUDE_API_ALLOW = 'beta:new-beta-2027-01-01, key:speed tool:code_execution_20270101,model:claude-next[1m]';
  expect(readConfig({ ...valid, CLAUDE_API_ALLOW }).claude.allowance).toEqual({
    betas: ['new-beta-2027-01-01'],
    keys: ['speed'],
    tools: ['code_execution_20270101'],
    models: ['claude-next[1m]'],
  });
  for (const wrong of ['everything', 'beta:', 'header:x', 'beta:a b']) {
    expect(problems({ ...valid, CLAUDE_API_ALLOW: wrong })).toEqual([
      expect.stringContaining('CLAUDE_API_ALLOW: must be'),
    ]);
  }
});

it('an address that credentials travel to in plain http is refused, whichever variable names it', () => {
  for (const name of [
    'LINEAR_API_URL',
    'LINEAR_UPLOADS_URL',
    'LINEAR_MCP_URL',
    'LINEAR_AUTHORIZE_URL',
    'LINEAR_TOKEN_URL',
    'LINEAR_REVOKE_URL',
    'ANTHROPIC_API_URL',
    'GITHUB_API_URL',
  ]) {
    expect(problems({ ...valid, [name]: 'http://upstream.example' }), name).toEqual([
      `${name} must be https unless it is a loopback address: credentials travel over it`,
    ]);
    expect(problems({ ...valid, [name]: 'http://localhost:1' }), name).toEqual([]);
  }
});

it('secrets that can be guessed are refused: too short, or the same characters again and again', () => {
  for (const [name, value, problem] of [
    ['ADMIN_TOKEN', 'a'.repeat(40), 'repeats a few characters'],
    ['ADMIN_TOKEN', 'short', 'at least 24 characters'],
    ['ACCESS_PASSWORD', 'hunter2', 'at least 12 characters'],
    ['ACCESS_PASSWORD', 'abababababab', 'repeats a few characters'],
    ['LINEAR_WEBHOOK_SECRET', 'lin_wh_', 'at least 16 characters'],
    ['SANDBOX_ENDPOINT_SECRET', 'secret', 'at least 16 characters'],
    ['ENCRYPTION_KEY', btoa('\0'.repeat(32)), 'repeats a few bytes'],
    ['ENCRYPTION_KEY_OLD', btoa('ab'.repeat(16)), 'repeats a few bytes'],
  ] as const) {
    expect(problems({ ...valid, [name]: value })).toEqual(
      expect.arrayContaining([expect.stringMatching(new RegExp(`^${name}: .*${problem}`))]),
    );
  }
});

it.each(['API_REQUESTS_A_MINUTE', 'OAUTH_REQUESTS_A_MINUTE'])(
  '%s is at most what a limiter can store, and a larger number is refused by name',
  (name) => {
    expect(problems({ ...valid, [name]: '10000' })).toEqual([]);
    expect(problems({ ...valid, [name]: '10001' })).toEqual([
      `${name}: must be a whole number from 0 to 10000; 0 lets all requests in`,
    ]);
  },
);

it('a time of retention that is no number of days says what it may be', () => {
  expect(problems({ ...valid, RETENTION_LOG_DAYS: '-1' })).toEqual([
    'RETENTION_LOG_DAYS: must be a whole number of days from 0 to 36500; 0 keeps it forever',
  ]);
});

it('what the button for a deploy asks for is each required secret and Claude’s token, each with a description', () => {
  const file = (name: string) => readFileSync(join(import.meta.dirname, '../..', name), 'utf8');
  const required = /^required = \[(.*)\]$/m.exec(file('wrangler.toml'))?.[1] ?? '';
  const names = [...required.matchAll(/"(\w+)"/g)].map(([, name = '']) => name);
  const asked = [...file('.dev.vars.example').matchAll(/^(\w+)=/gm)].map(([, name]) => name);
  expect(asked).toEqual([...names, 'CLAUDE_CODE_OAUTH_TOKEN']);
  const { cloudflare } = JSON.parse(file('package.json'));
  expect(Object.keys(cloudflare.bindings)).toEqual([...asked, 'DB', 'LOGS']);
});

it('a GitHub App is configured whole or not at all', () => {
  expect(readConfig(valid).github).toEqual({
    apiUrl: 'https://api.github.com',
    app: null,
    webhookSecret: null,
    gatherMs: 60_000,
  });
  const app = { GITHUB_APP_ID: '1001', GITHUB_APP_PRIVATE_KEY: '-----BEGIN…' };
  expect(readConfig({ ...valid, ...app }).github.app).toEqual({ id: '1001', privateKey: '-----BEGIN…' });
  expect(problems({ ...valid, GITHUB_APP_ID: '1001' })).toEqual([
    expect.stringContaining('GITHUB_APP_PRIVATE_KEY is not'),
  ]);
  expect(problems({ ...valid, GITHUB_API_URL: 'http://git.acme.example/api/v3' })).toEqual([
    expect.stringContaining('GITHUB_API_URL must be https'),
  ]);
  expect(problems({ ...valid, GITHUB_APP_PRIVATE_KEY: 'x' })).toEqual([
    expect.stringContaining('GITHUB_APP_ID is not'),
  ]);
});
