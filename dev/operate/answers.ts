/** What `npm run setup` has to know: given on the command line, else asked for at the terminal, each with what it is for. */
import { createInterface } from 'node:readline/promises';
import * as z from 'zod';
import { UsageProblem } from '../admin/usage.ts';
import { configurationOf, readToml } from './configuration.ts';
import { choicesOf } from './configuration-choices.ts';

const REGIONS = ['weur', 'eeur', 'enam', 'wnam', 'apac', 'oc'] as const;

const answersSchema = z.object({
  /** Of the Worker, and of what it is stored in. Cloudflare takes no other names. */
  name: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/, {
    error: '--name: small letters, digits and hyphens, at most 41, a letter first',
  }),
  region: z.enum(REGIONS, { error: `--region: one of ${REGIONS.join(', ')}` }),
  jurisdiction: z.enum(['', 'eu', 'us'], { error: '--jurisdiction: eu or us; leave it out for none' }),
  plan: z.enum(['pro', 'max', 'ultra', 'api'], { error: '--plan: pro, max, ultra or api' }),
});
export type Answers = z.infer<typeof answersSchema>;

interface Given {
  name?: string | undefined;
  region?: string | undefined;
  jurisdiction?: string | undefined;
  plan?: string | undefined;
  yes?: boolean | undefined;
}

/** @throws UsageProblem for an answer that is none */
export async function readAnswers(given: Given): Promise<Answers> {
  const toml = readToml();
  const usual = { name: configurationOf(toml).name, region: 'weur', ...choicesOf(toml) };
  const isAsking = !given.yes && process.stdin.isTTY && process.stdout.isTTY;
  const asked = isAsking ? await askFor(given, usual) : {};
  const parsed = answersSchema.safeParse({ ...usual, ...withoutUndefined(given), ...asked });
  if (parsed.success) return parsed.data;
  throw new UsageProblem(parsed.error.issues.map(({ message }) => message).join('; '));
}

const QUESTIONS = [
  ['name', 'Name of the Worker. Database and bucket are named after it; another name is another deployment.'],
  [
    'region',
    `Where people and git host are, so that the database is near: ${REGIONS.join(', ')}. It cannot be moved later.`,
  ],
  ['jurisdiction', 'Must what is stored never leave a jurisdiction? eu, us, or nothing.'],
  ['plan', 'How Claude is paid for: a subscription (pro, max, ultra), or a key that is charged (api).'],
] as const;

async function askFor(given: Given, usual: Record<string, string>): Promise<Record<string, string>> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answers: Record<string, string> = {};
  try {
    for (const [name, words] of QUESTIONS) {
      if (given[name] !== undefined) continue;
      const answer = await terminal.question(`${words}\n${name} [${usual[name]}]: `);
      if (answer.trim() !== '') answers[name] = answer.trim();
    }
  } finally {
    terminal.close();
  }
  return answers;
}

function withoutUndefined({ yes: _, ...given }: Given): Record<string, unknown> {
  return Object.fromEntries(
    ['name', 'region', 'jurisdiction', 'plan'].flatMap((name) => {
      const value = given[name as keyof typeof given];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
