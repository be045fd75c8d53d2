/**
 * `npm run cost`: what a month costs, Cloudflare by what a recorded session was counted to use, Claude by key and by plan. With CYRUS_URL
 * and ADMIN_TOKEN (or `--url`) what an issue costs at Claude is taken from what the deployment used in the last 30 days.
 */
import * as z from 'zod';
import { openDeployment } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';
import { type Cost, costOf, INSTANCES, type Usage } from './operate/cost.ts';

const HELP = `npm run cost                      what a month costs

  --issues N         issues a month (100)
  --minutes N        minutes of work on one (20)
  --instance SIZE    small, standard or large (standard)
  --watched SHARE    of the time somebody watches the page, 0 to 1 (0.25)
  --kept MONTHS      sessions are kept for so long (12)
  --claude DOLLARS   of Claude for an issue, by list prices (2); with --url: as used in the last 30 days
  --url ADDRESS      of a deployment, or CYRUS_URL
  --json             as JSON`;

const amount = (usual: number, most: number, name: string) =>
  z.coerce
    .number({ error: `--${name}: a number` })
    .min(0, { error: `--${name}: not below 0` })
    .max(most, { error: `--${name}: at most ${most}` })
    .default(usual);
const usageSchema = z.object({
  issues: amount(100, 1_000_000, 'issues'),
  minutes: amount(20, 720, 'minutes'),
  instance: z
    .enum(['small', 'standard', 'large'], { error: '--instance: small, standard or large' })
    .default('standard'),
  watched: amount(0.25, 1, 'watched'),
  kept: amount(12, 120, 'kept'),
  claude: amount(2, 10_000, 'claude'),
});
const usedSchema = z.object({ usage: z.array(z.looseObject({ group: z.string(), costUsd: z.number() })) });

async function main(): Promise<void> {
  const given = parse(process.argv.slice(2));
  if (given.help) {
    console.log(HELP);
    return;
  }
  const parsed = usageSchema.safeParse(given);
  if (!parsed.success) throw new UsageProblem(parsed.error.issues.map(({ message }) => message).join('; '));
  const { kept: keptMonths, claude, ...rest } = parsed.data;
  const url = given.url ?? process.env.CYRUS_URL;
  const measured = url === undefined || given.claude !== undefined ? null : await measure(url);
  const usage: Usage = { ...rest, keptMonths, claudeUsd: measured?.usd ?? claude };
  const cost = costOf(usage);
  if (given.json) console.log(JSON.stringify({ usage, cost }, null, 2));
  else console.log(describe(usage, cost, measured?.sessions ?? null));
}

/** What a session cost at Claude in the last 30 days; null: none was used. */
async function measure(url: string): Promise<{ usd: number; sessions: number } | null> {
  const { usage } = await (await openDeployment(url, process.env)).ask('GET', '/usage?by=session', usedSchema);
  if (usage.length === 0) return null;
  return { usd: usage.reduce((sum, { costUsd }) => sum + costUsd, 0) / usage.length, sessions: usage.length };
}

function describe(usage: Usage, cost: Cost, sessions: number | null): string {
  const { issues, minutes, instance, claudeUsd } = usage;
  const { vcpu, memoryGiB } = INSTANCES[instance];
  const dollars = (usd: number) => `$${usd.toFixed(2)}`.padStart(10);
  const lines = cost.lines.filter(({ usd }) => usd >= 0.005).map(({ what, usd }) => `  ${dollars(usd)}  ${what}`);
  const source = sessions === null ? 'as given' : `as used by ${sessions} sessions in the last 30 days`;
  return `${issues} issues a month, ${minutes} minutes each, ${instance} containers (${vcpu} vCPU, ${memoryGiB} GiB)

Cloudflare ${dollars(cost.cloudflareUsd)} a month, of that $5.00 for the plan; beyond what it includes:
${lines.length === 0 ? '  nothing' : lines.join('\n')}
  one more issue, once all that is included is used: $${cost.marginalUsd.toFixed(3)}

Claude     ${dollars(cost.apiUsd)} a month with an API key (${dollars(claudeUsd).trim()} an issue by list prices, ${source})
${cost.plans.map(({ plan, usd, isCheaperThanKey }) => `           ${dollars(usd)} a month on ${plan}${isCheaperThanKey ? ', as far as its limits reach' : ': no cheaper than the key'}`).join('\n')}

What Cloudflare bills and what a plan's limits reach for is theirs to say; these are estimates. docs/cost.md says where the money is.`;
}

function parse(args: string[]) {
  const text = { type: 'string' } as const;
  const options = {
    help: { type: 'boolean', short: 'h' },
    json: { type: 'boolean' },
    url: text,
    issues: text,
    minutes: text,
    instance: text,
    watched: text,
    kept: text,
    claude: text,
  } as const;
  return parseCommand({ args, options, allowPositionals: false, strict: true }).values;
}

runCommand(main);
