import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { trustVariables } from '../../container/process/certificates.ts';

it('Programs in a container trust the platform’s authority besides the usual ones', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-certificates-'));
  const [bundle, authority, usual] = ['bundle', 'authority', 'usual'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(authority, 'the platform');
  writeFileSync(usual, 'all others');
  const variables = trustVariables(bundle, authority, usual);
  expect(readFileSync(bundle, 'utf8')).toBe('all others\nthe platform');
  expect(variables.NODE_EXTRA_CA_CERTS).toBe(authority);
  expect(variables.GIT_SSL_CAINFO).toBe(bundle);
});

it('Elsewhere nothing is changed about what programs trust', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-certificates-'));
  expect(trustVariables(join(folder, 'bundle'), join(folder, 'missing'))).toEqual({});
});
