/**
 * `npm run doctor`: looks at a deployment from the inside, by its admin API, and from here. CYRUS_URL and ADMIN_TOKEN say which
 * deployment, and prove who asks; without them the local run is meant. Ends with 1 if something will not work.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { isLoopback } from '../src/lib/loopback.ts';
import { bad, type Finding, summaryOf, type Verdict, workerReportSchema } from '../src/protocol/doctor.ts';
import { DeploymentProblem, openDeployment } from './admin/deployment.ts';
import { parseCommand, runCommand } from './command-line.ts';
import { configurationOf, readToml } from './operate/configuration.ts';
import {
  cliFinding,
  clockFinding,
  commitFinding,
  loginFinding,
  secretFindings,
  variableFinding,
} from './operate/local-checks.ts';
import { machine } from './operate/wrangler.ts';
import { PROJECT } from './settings.ts';

const HELP = `npm run doctor                       looks at everything a deployment needs

  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run
  --name NAME      of its Worker, if it is another than that of wrangler.toml
  --sandbox        start a container too, which takes up to a minute
  --json           the findings as JSON`;

/** A container may take its time. */
const PATIENCE_MS = 120_000;
const MARKS: Record<Verdict, string> = { good: 'ok  ', warn: 'LOOK', bad: 'BAD ', skipped: '-   ' };
const packageSchema = z.object({ devDependencies: z.record(z.string(), z.string()) });

async function main(): Promise<void> {
  const { values } = parse(process.argv.slice(2));
  if (values.help) {
    console.log(HELP);
    return;
  }
  const findings = await examine(values.url, values.name, values.sandbox === true);
  if (values.json) console.log(JSON.stringify({ findings }, null, 2));
  else {
    for (const finding of findings) console.log(lineOf(finding));
    console.log(`\n${summaryOf(findings)}.`);
  }
  if (findings.some(({ verdict }) => verdict === 'bad')) process.exitCode = 1;
}

async function examine(
  url: string | undefined,
  name: string | undefined,
  startsContainer: boolean,
): Promise<Finding[]> {
  const deployment = await openDeployment(url, process.env);
  const path = `/doctor${startsContainer ? '?sandbox=true' : ''}`;
  const configuration = configurationOf(readToml(), name);
  const isLocal = isLoopback(new URL(deployment.url).hostname);
  const ofCloudflare = isLocal ? [] : [loginFinding(machine), ...secretFindings(machine, configuration)];
  const { devDependencies } = packageSchema.parse(JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')));
  const cli = cliFinding(machine, devDependencies['@anthropic-ai/claude-code'] ?? 'unknown');
  try {
    const report = await deployment.ask('POST', path, workerReportSchema, undefined, PATIENCE_MS);
    const compared = [variableFinding(configuration, report), commitFinding(machine, report)];
    return [...report.findings, clockFinding(report, Date.now()), ...(isLocal ? [] : compared), ...ofCloudflare, cli];
  } catch (error) {
    if (!(error instanceof DeploymentProblem)) throw error;
    const remedy = 'Look at the address, at ADMIN_TOKEN, and at the log: npx wrangler tail';
    return [bad('deployment', error.message.replace(/\.$/, ''), remedy), ...ofCloudflare, cli];
  }
}

function lineOf({ name, verdict, words, remedy }: Finding): string {
  return `${MARKS[verdict]} ${name}: ${words}.${remedy === null ? '' : `\n       ${remedy}`}`;
}

function parse(args: string[]) {
  const options = {
    help: { type: 'boolean', short: 'h' },
    json: { type: 'boolean' },
    name: { type: 'string' },
    sandbox: { type: 'boolean' },
    url: { type: 'string' },
  } as const;
  return parseCommand({ args, options, allowPositionals: false, strict: true });
}

runCommand(main);
