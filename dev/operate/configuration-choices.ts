/** Writes what an operator chose into wrangler.toml, where it would be written by hand (pure). */
import type { Answers } from './answers.ts';
import { configurationOf } from './configuration.ts';

/**
 * A deployment under another name than the file's leaves the file to the other one, but for what both have to share.
 * @returns the text, and what changed in words
 */
export function withChoices(toml: string, { name, jurisdiction, plan }: Answers): { text: string; words: string } {
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
  if (plan === 'api' || variables.CLAUDE_PLAN !== '' || plan !== 'max') set('CLAUDE_PLAN', plan === 'api' ? '' : plan);
  if (jurisdiction !== '') {
    for (const section of ['[[d1_databases]]', '[[r2_buckets]]']) {
      const [before = '', after = ''] = text.split(`${section}\n`);
      if (after === '' || after.startsWith(`jurisdiction = "${jurisdiction}"`)) continue;
      text = `${before}${section}\njurisdiction = "${jurisdiction}"\n${after.replace(/^jurisdiction = .*\n/, '')}`;
      changes.push(`jurisdiction = "${jurisdiction}" of ${section}`);
    }
  }
  return { text, words: `it is changed for ${name}: ${changes.join(', ')}` };
}
