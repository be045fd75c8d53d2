import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { claudeChoice, localSecrets, SetupProblem } from '../../dev/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'cyrus-settings-'));

/** How a local run reaches Claude with this `.dev.vars`. */
function choice(text: string) {
  const file = join(folder, '.dev.vars');
  writeFileSync(file, text);
  return claudeChoice(file);
}

it('a local run asks a scripted model if no credential is given', () => {
  expect(claudeChoice(join(folder, 'missing'))).toEqual({ kind: 'scripted' });
  expect(choice('SOMETHING_ELSE=1')).toEqual({ kind: 'scripted' });
});

it("a local run asks Claude itself with the subscription's token of .dev.vars", () => {
  expect(choice('CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat-1"')).toEqual({
    kind: 'real',
    mode: 'subscription',
    variable: 'CLAUDE_CODE_OAUTH_TOKEN',
    secret: 'sk-ant-oat-1',
  });
});

it('an API key is charged only if .dev.vars says so', () => {
  expect(() => choice('ANTHROPIC_API_KEY=sk-ant-api-1')).toThrow(SetupProblem);
  expect(() => choice('CLAUDE_CREDENTIAL=api-key')).toThrow('ANTHROPIC_API_KEY is missing');
  expect(choice('CLAUDE_CREDENTIAL=api-key\nANTHROPIC_API_KEY=sk-ant-api-1')).toMatchObject({ mode: 'api-key' });
});

it('a local run keeps its own secrets, and says what to do if they are damaged', () => {
  const made = localSecrets(join(folder, 'run'));
  expect(localSecrets(join(folder, 'run'))).toEqual(made);
  writeFileSync(join(folder, 'run', 'secrets.json'), 'nonsense');
  expect(() => localSecrets(join(folder, 'run'))).toThrow('to start over');
});
