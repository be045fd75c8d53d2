/** Writes what an operator chose into wrangler.toml, where it would be written by hand (pure). */
import type { Answers } from './answers.ts';
import { configurationOf } from './configuration.ts';

/** What was chosen before, as the file says it: a setup that is repeated without saying it again changes none of it. */
export function choicesOf(toml: string): Pick<Answers, 'jurisdiction' | 'plan'> {
  const { CLAUDE_CREDENTIAL: credential, CLAUDE_PLAN: known } = configurationOf(toml).variables;
  const [, jurisdiction] = /^\s*jurisdiction\s*=\s*"(eu|us)"/m.exec(toml) ?? [];
  return {
    plan: credential === 'api-key' ? 'api' : known === 'pro' || known === 'ultra' ? known : 'max',
    jurisdiction: jurisdiction === 'eu' || jurisdiction === 'us' ? jurisdiction : '',
  };
}

/** @returns the text, and what changed: each thing, and all in words */
export function withChoices(
  toml: string,
  { name, jurisdiction, plan }: Answers,
): { text: string; words: string; changes: string[] } {
  const { variables } = configurationOf(toml);
  const credential = plan === 'api' ? 'api-key' : 'subscription';
  const changes: string[] = [];
  let text = toml;
  const set = (key: string, value: string) => {
    if ((variables[key] ?? '') === value) return;
    text = text.replace(new RegExp(`^(${key}\\s*=\\s*)"[^"]*"`, 'm'), `$1"${value}"`);
    changes.push(`${key} = "${value}"`);
  };
  set('CLAUDE_CREDENTIAL', credential);
  // Of a key both mean the same.
  if (plan === 'api') set('CLAUDE_PLAN', variables.CLAUDE_PLAN === 'api' ? 'api' : '');
  else if (variables.CLAUDE_PLAN !== '' || plan !== 'max') set('CLAUDE_PLAN', plan);
  if (jurisdiction !== '') {
    for (const section of ['d1_databases', 'r2_buckets']) {
      text = text.replace(new RegExp(`(^\\[\\[${section}\\]\\]\\n)([^[]*)`, 'm'), (whole, heading, body) => {
        const known = /^[ \t]*jurisdiction\s*=\s*"([^"]*)".*\n/m;
        if (known.exec(body)?.[1] === jurisdiction) return whole;
        changes.push(`jurisdiction = "${jurisdiction}" of [[${section}]]`);
        return `${heading}jurisdiction = "${jurisdiction}"\n${body.replace(known, '')}`;
      });
    }
  }
  return { text, words: `it is changed for ${name}: ${changes.join(', ')}`, changes };
}
