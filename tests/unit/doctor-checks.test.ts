/** What the doctor says of a deployment from the machine of an operator. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { configurationOf } from '../../dev/operate/configuration.ts';
import {
  cliFinding,
  clockFinding,
  commitFinding,
  loginFinding,
  secretFindings,
  variableFinding,
} from '../../dev/operate/local-checks.ts';
import type { Host } from '../../dev/operate/wrangler.ts';
import { noted, noWebhooks, webhookTypesMissing } from '../../src/operations/webhook-record.ts';

afterEach(() => vi.unstubAllEnvs());

/** A machine on which every command prints the same. */
function printing(out: string): Host {
  return { read: () => ({ ok: true, out, err: '' }), show: () => null, tell: () => {} };
}

const configuration = configurationOf(
  'name = "cyrus"\n[vars]\nPAUSED = "false" # a note\nCLAUDE_MODEL = "sonnet"\nPLAIN = true\n\n[secrets]\nrequired = ["ENCRYPTION_KEY", "ADMIN_TOKEN"]\n',
);
const report = {
  at: 1_000_000,
  version: { id: 'v', tag: 'abcdef123456' },
  variables: { PAUSED: 'false', CLAUDE_MODEL: 'sonnet', PLAIN: 'true' },
  findings: [],
};

describe('the doctor on an operator’s machine', () => {
  it('says that wrangler is not logged in, or that there are several accounts to choose from', () => {
    vi.stubEnv('CLOUDFLARE_ACCOUNT_ID', undefined);
    expect(loginFinding(printing('{"loggedIn": false}'))).toMatchObject({
      verdict: 'bad',
      remedy: 'npx wrangler login',
    });
    const login = (...names: string[]) =>
      printing(
        JSON.stringify({
          loggedIn: true,
          email: 'ada@acme.example',
          accounts: names.map((name) => ({ name, id: name })),
        }),
      );
    expect(loginFinding(login('acme')).words).toBe('wrangler is logged in as ada@acme.example, in acme');
    expect(loginFinding(login('acme', 'globex'))).toMatchObject({
      verdict: 'warn',
      remedy: 'Say which one is meant: export CLOUDFLARE_ACCOUNT_ID=acme',
    });
  });

  it('names a secret that is not stored, and one that a rotation left behind', () => {
    expect(secretFindings(printing('[{"name":"ADMIN_TOKEN","type":"secret_text"}]'), configuration)).toMatchObject([
      { verdict: 'bad', words: 'ENCRYPTION_KEY is not stored', remedy: 'npx wrangler secret put ENCRYPTION_KEY' },
    ]);
    const all = ['ENCRYPTION_KEY', 'ADMIN_TOKEN', 'ENCRYPTION_KEY_OLD'].map((name) => ({ name }));
    expect(secretFindings(printing(JSON.stringify(all)), configuration)).toMatchObject([
      { verdict: 'good' },
      { verdict: 'warn', words: 'ENCRYPTION_KEY_OLD is still stored' },
    ]);
    expect(secretFindings(printing('no such Worker'), configuration)).toMatchObject([{ verdict: 'skipped' }]);
  });

  it('names the variables in which what runs differs from wrangler.toml', () => {
    expect(variableFinding(configuration, report).verdict).toBe('good');
    const other = { ...report, variables: { ...report.variables, CLAUDE_MODEL: 'opus', CLAUDE_PRICES: 'set' } };
    expect(variableFinding(configuration, other)).toMatchObject({
      verdict: 'warn',
      words: 'What runs has other variables than wrangler.toml here: CLAUDE_MODEL',
    });
    // The Worker does not say how people sign in, wherever that is kept.
    const inFile = { ...configuration, variables: { ...configuration.variables, SIGN_IN: 'linear' } };
    expect(variableFinding(inFile, report).verdict).toBe('good');
  });

  it('says that what runs is another commit than what is here', () => {
    expect(commitFinding(printing('abcdef1234567890\n'), report).verdict).toBe('good');
    expect(commitFinding(printing('0123456789abcdef\n'), report)).toMatchObject({
      verdict: 'warn',
      words: 'What runs is commit abcdef123456, here is 0123456789ab',
    });
    expect(commitFinding(printing('x'), { ...report, version: null }).verdict).toBe('skipped');
  });

  it('says that the clock here is wrong', () => {
    expect(clockFinding(report, report.at + 59_000).verdict).toBe('good');
    expect(clockFinding(report, report.at - 300_000)).toMatchObject({
      verdict: 'warn',
      words: 'The clock of this machine is 300 s off',
    });
  });

  it('says that there is a newer Claude CLI', () => {
    expect(cliFinding(printing('"2.1.330"'), '2.1.330').verdict).toBe('good');
    expect(cliFinding(printing('"2.1.329"'), '2.1.330').verdict).toBe('good');
    expect(cliFinding(printing('"2.2.0"'), '2.1.330')).toMatchObject({
      verdict: 'warn',
      words: 'It is 2.1.330, and 2.2.0 is the newest',
    });
    expect(cliFinding(printing(''), '2.1.330').verdict).toBe('skipped');
  });
});

it('which events Linear sends is known from the first of each kind on', () => {
  const came = noted(noWebhooks, { goodAt: 5, faults: [], types: ['Issue', 'Comment'] }, 5);
  expect(came.types).toEqual({ Issue: 5 });
  const again = noted(came, { goodAt: 9, faults: [], types: ['Issue', 'AgentSessionEvent'] }, 9);
  expect(again.types).toEqual({ Issue: 5, AgentSessionEvent: 9 });
  expect(webhookTypesMissing(again, 9)).toEqual([]);
  expect(webhookTypesMissing(came, 6)).toBeNull();
  expect(webhookTypesMissing(came, 25 * 3_600_000)).toMatchObject([{ type: 'AgentSessionEvent' }]);
  expect(webhookTypesMissing(noWebhooks, 9)).toBeNull();
});
