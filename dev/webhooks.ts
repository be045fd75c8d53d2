/**
 * `npm run webhooks`: has services told when a session of a workspace finishes or needs somebody. It asks the API for programs, by a
 * personal token of an admin of the workspace, in CYRUS_TOKEN.
 */
import * as z from 'zod';
import {
  newWebhookSchema,
  newWebhookSecretSchema,
  type WebhookView,
  webhookEventSchema,
  webhookInputSchema,
  webhooksSchema,
  webhookTestSchema,
  webhookViewSchema,
} from '../src/protocol/v1/webhooks.ts';
import { ProgramsApi } from './admin/programs-api.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';

const EVENTS = webhookEventSchema.options.join(',');
const HELP = `npm run webhooks -- list             a workspace's webhooks, and whether they are delivered
npm run webhooks -- add ADDRESS      prints the secret, once
npm run webhooks -- change ID        with --address, --events, --disable or --enable
npm run webhooks -- rotate ID        prints another secret; the one before signs too for a day
npm run webhooks -- test ID          sends a test, and prints what came of it
npm run webhooks -- remove ID

  --events LIST    of ${EVENTS} (the default: both)
  --workspace ID   needed if you are a member of several
  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run
  --json           the API's own answer

CYRUS_TOKEN has a personal token with the scope admin, see docs/api.md.`;

const OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  url: { type: 'string' },
  workspace: { type: 'string' },
  address: { type: 'string' },
  events: { type: 'string' },
  disable: { type: 'boolean' },
  enable: { type: 'boolean' },
} as const;

function parse(args: string[]) {
  return parseCommand({ args, options: OPTIONS, allowPositionals: true, strict: true });
}
type Values = ReturnType<typeof parse>['values'];

/** What a command gives back: the API's answer, and the lines for people. */
interface Outcome {
  answer: unknown;
  lines: string[];
}

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2));
  if (values.help || positionals[0] === 'help') {
    console.log(HELP);
    return;
  }
  const { answer, lines } = await carryOut(values, positionals);
  console.log(values.json ? JSON.stringify(answer, null, 2) : lines.join('\n'));
}

async function carryOut(values: Values, [verb, what, ...more]: string[]): Promise<Outcome> {
  const isList = verb === 'list';
  const isKnown = isList || ['add', 'change', 'rotate', 'test', 'remove'].includes(verb ?? '');
  if (!isKnown || more.length > 0 || isList !== (what === undefined)) {
    throw new UsageProblem('Say list, add ADDRESS, or change, rotate, test or remove with an ID; see --help.');
  }
  const api = new ProgramsApi(values.url, process.env);
  const all = `/workspaces/${encodeURIComponent(await api.workspace(values.workspace))}/webhooks`;
  if (what === undefined) {
    const answer = await api.ask('GET', all, webhooksSchema);
    return { answer, lines: answer.data.length > 0 ? answer.data.map(describe) : ['There is no webhook yet.'] };
  }
  if (verb === 'add') {
    const answer = await api.ask('POST', all, newWebhookSchema, input({ url: what, events: eventsOf(values) }));
    return { answer, lines: [describe(answer), `Its secret, which is not shown again: ${answer.secret}`] };
  }
  const one = `${all}/${encodeURIComponent(what)}`;
  switch (verb) {
    case 'change': {
      const answer = await api.ask('PUT', one, webhookViewSchema, await changed(api, all, what, values));
      return { answer, lines: [describe(answer)] };
    }
    case 'rotate': {
      const answer = await api.ask('POST', `${one}/secret`, newWebhookSecretSchema);
      const until = new Date(answer.previousUntil).toISOString();
      return {
        answer,
        lines: [`Its new secret, which is not shown again: ${answer.secret}`, `Until ${until} both sign.`],
      };
    }
    case 'test': {
      const answer = await api.ask('POST', `${one}/test`, webhookTestSchema);
      if (!answer.delivered) process.exitCode = 1;
      return { answer, lines: [answer.problem ?? `It took the test (${answer.status}).`] };
    }
    default:
      await api.ask('DELETE', one, z.null());
      return { answer: { removed: what }, lines: [`The webhook ${what} is removed.`] };
  }
}

async function changed(api: ProgramsApi, all: string, id: string, values: Values) {
  const { address, events, disable, enable } = values;
  if (disable && enable) throw new UsageProblem('--disable and --enable exclude each other.');
  if (address === undefined && events === undefined && !disable && !enable) {
    throw new UsageProblem('Say what to change; see --help.');
  }
  const before = (await api.ask('GET', all, webhooksSchema)).data.find((webhook) => webhook.id === id);
  if (!before) throw new UsageProblem(`The workspace has no webhook ${id}; list shows those that it has.`);
  return input({
    url: address ?? before.url,
    events: events === undefined ? before.events : eventsOf(values),
    enabled: enable === true || (before.enabled && disable !== true),
  });
}

function eventsOf({ events = EVENTS }: Values): string[] {
  return events.split(',').map((event) => event.trim());
}

function input(given: { url: string; events: string[]; enabled?: boolean }): z.output<typeof webhookInputSchema> {
  const read = webhookInputSchema.safeParse(given);
  if (read.success) return read.data;
  throw new UsageProblem(z.prettifyError(read.error));
}

function describe({ id, url, events, enabled, disabledBecause, failingSince, problem }: WebhookView): string {
  const trouble = failingSince === null ? '' : `; fails since ${new Date(failingSince).toISOString()}: ${problem}`;
  const state = enabled ? 'enabled' : `disabled${disabledBecause === null ? '' : ` (${disabledBecause})`}`;
  return `${id}  ${url}  ${events.join(', ')}  ${state}${trouble}`;
}

runCommand(main);
