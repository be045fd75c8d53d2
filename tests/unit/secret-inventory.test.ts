import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/read-config.ts';
import { deploymentSecrets } from '../../src/gateway/secrets/known-secrets.ts';
import { SECRET_NAMES } from '../../src/protocol/doctor.ts';
import { valid } from './support/variables.ts';

const document = (name: string) => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');

/** Names in the table of secrets. */
const LISTED = document('variables.md')
  .split('\n')
  .slice(
    document('variables.md')
      .split('\n')
      .findIndex((line) => /^\| secret /.test(line)) + 2,
  )
  .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name = '']) => name));
/** Not secret by itself: it stands in addresses that people's browsers open. */
const PUBLIC = ['LINEAR_CLIENT_ID'];
/** They exclude others in one deployment. */
const OTHERS: Record<string, Record<string, string>> = {
  ENCRYPTION_KEY_NEXT: {},
  ENCRYPTION_KEY_OLD: {},
  ANTHROPIC_API_KEY: { CLAUDE_CREDENTIAL: 'api-key', CLAUDE_CODE_OAUTH_TOKEN: '' },
  SANDBOX_ENDPOINT_SECRET: { SANDBOX: 'endpoint', SANDBOX_ENDPOINT_URL: 'https://sandbox.example' },
  GITHUB_APP_PRIVATE_KEY: { GITHUB_APP_ID: '1' },
  LINEAR_CLIENT_SECRET: { LINEAR_CLIENT_ID: 'client' },
  OTLP_HEADERS: { OTLP_ENDPOINT: 'https://traces.example' },
  ALERT_WEBHOOK_SECRET: { ALERT_WEBHOOK_URL: 'https://alerts.example/in' },
  CLAUDE_CODE_OAUTH_TOKENS: { CLAUDE_CODE_OAUTH_TOKEN: '' },
};

/** A value that the variable takes, and the part of it that is looked for. */
function plantedFor(name: string): { value: string; part: string } {
  const part = `planted-4a61f0b9-${name.toLowerCase().replaceAll('_', '-')}`;
  if (name.startsWith('ENCRYPTION_KEY')) {
    const value = btoa(`0123456789abcdef${name.padEnd(16, 'x').slice(-16)}`);
    return { value, part: value };
  }
  if (name.endsWith('_URL')) return { value: `https://service.example/${part}`, part };
  if (name === 'SENTRY_DSN') return { value: `https://${part}@o1.ingest.sentry.example/42`, part };
  if (name === 'OTLP_HEADERS') return { value: `x-team=${part}`, part };
  if (name === 'CLAUDE_CODE_OAUTH_TOKENS') return { value: `work=sk-ant-oat-${part}`, part };
  if (name === 'CLAUDE_CODE_OAUTH_TOKEN') return { value: `sk-ant-oat-${part}`, part };
  if (name === 'ANTHROPIC_API_KEY') return { value: `sk-ant-api03-${part}`, part };
  if (name === 'GITHUB_APP_PRIVATE_KEY') {
    const lines = ['-----BEGIN RSA PRIVATE KEY-----', 'A'.repeat(64), part, '-----END RSA PRIVATE KEY-----'];
    return { value: lines.join('\n'), part };
  }
  return { value: part, part };
}

describe('a secret of the deployment', () => {
  const secrets = LISTED.filter((name) => !PUBLIC.includes(name));

  it('is listed, and the same are kept out of what the doctor reports', () => {
    expect(secrets.length).toBeGreaterThan(15);
    expect(SECRET_NAMES.toSorted()).toEqual(LISTED.toSorted());
  });

  it.each(secrets)('%s is among what no session may carry out, and in the inventory with how it is rotated', (name) => {
    const { value, part } = plantedFor(name);
    const config = readConfig({ ...valid, ...OTHERS[name], [name]: value });
    expect(deploymentSecrets(config).filter(({ text }) => text.includes(part))).not.toEqual([]);
    const inventory = document('security.md').slice(document('security.md').indexOf('## Secrets'));
    // One row may name several: `CLAUDE_CODE_OAUTH_TOKEN(S)`.
    expect(inventory).toContain(`\`${name.replace(/TOKENS$/, 'TOKEN')}`);
  });
});
