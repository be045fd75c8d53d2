/**
 * Many webhooks at once, each twice: Linear gives five seconds for an answer. The Worker runs in workerd alone, bundled as
 * for a deploy: `wrangler dev` puts two proxies in front of it that a deployment does not have.
 */
import { createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { startLinearSimulator } from '../../dev/linear/simulator.ts';
import { type LocalSecrets, localSecrets } from '../../dev/settings.ts';
import { bundleHeld, bundleMinimal } from '../bench/cyrus.ts';
import { type Bundle, startWorkerd } from '../bench/workerd.ts';
import { type Run, same, within } from './run.ts';

const ISSUES = 100;
/** Of one issue: one that opens its session, and comments. */
const EACH = 10;
const DELIVERIES = ISSUES * EACH;
const ANSWER_LIMIT_MS = 5_000;
/** A machine that is busy with something else gets another chance to be in time; nothing may ever be lost or doubled. */
const ATTEMPTS = 3;
/**
 * On a machine that is too slow for that, the slowest answer takes at most so many times as long as that of a Worker which only
 * verifies the signature and commits one row (tests/bench/baseline-worker.ts), for the same burst on the same machine.
 */
const MOST_TIMES_MINIMAL = 3;

/** For the flight record. Times in milliseconds. */
export interface Burst {
  accepted: number;
  duplicate: number;
  medianMs: number;
  slowestMs: number;
  attempts: number;
  /** The slowest answer of the minimal Worker to the same burst; only where the machine is too slow for 5 s. */
  minimalSlowestMs?: number;
}

const promptSchema = z.looseObject({ promptId: z.string() });

interface Answer {
  status: number;
  outcome: string;
  ms: number;
}

/** Effects are not carried out, so that a hundred sandboxes do not start. @param folder a place for files of its own */
export async function burst(run: Run, folder: string): Promise<Burst> {
  const secrets = localSecrets(folder);
  const promise =
    'Of 1,000 webhooks at once, each sent twice, each is taken in once and answered within 5 s (on a slow machine within 3 times what a minimal Worker takes)';
  return run.promise(promise, async () => {
    const module = await bundleHeld(join(folder, 'bundle'));
    const deliveries = await signedDeliveries(secrets.webhookSecret);
    same('Deliveries', deliveries.length, DELIVERIES);
    for (let attempt = 1; ; attempt++) {
      const times = await fire(cyrus(module, secrets), '/webhooks/linear', deliveries, isTakenInOnce);
      const figures = { ...times, accepted: DELIVERIES, duplicate: DELIVERIES, attempts: attempt };
      if (times.slowestMs <= ANSWER_LIMIT_MS) return figures;
      if (attempt < ATTEMPTS) continue;
      const minimal = await fire(await bundleMinimal(join(folder, 'minimal'), secrets.webhookSecret), '/', deliveries);
      const limit = Math.max(ANSWER_LIMIT_MS, MOST_TIMES_MINIMAL * minimal.slowestMs);
      within('The slowest answer', times.slowestMs, limit);
      return { ...figures, minimalSlowestMs: minimal.slowestMs };
    }
  });
}

/** Sends every delivery twice to a fresh Worker. @param check what has to be true of the answers. @throws Unkept where one is not 200 */
async function fire(
  bundled: Bundle,
  path: string,
  deliveries: SignedDelivery[],
  check?: (answers: Answer[]) => void,
): Promise<{ medianMs: number; slowestMs: number }> {
  const worker = await startWorkerd(bundled);
  try {
    const agent = new Agent({ keepAlive: true });
    const twice = deliveries.flatMap((delivery) => [delivery, delivery]);
    const answers = await Promise.all(twice.map((delivery) => post(`${worker.url}${path}`, agent, delivery)));
    agent.destroy();
    same('Statuses', [...new Set(answers.map((answer) => answer.status))], [200]);
    check?.(answers);
    const times = answers.map((answer) => answer.ms).sort((one, other) => one - other);
    const [medianMs = 0, slowestMs = 0] = [times[DELIVERIES], times.at(-1)].map((ms) => Math.round(ms ?? 0));
    return { medianMs, slowestMs };
  } finally {
    await worker.end();
  }
}

function cyrus(module: string, secrets: LocalSecrets): Bundle {
  return {
    module,
    objects: { ISSUE_SESSION: 'IssueSession', SANDBOX_CONTAINER: 'SandboxContainer', OPERATIONS: 'Operations' },
    variables: variables(secrets),
  };
}

/** @throws Unkept where a delivery is lost or doubled */
function isTakenInOnce(answers: Answer[]): void {
  const count = (outcome: string) => answers.filter((answer) => answer.outcome === outcome).length;
  same('Accepted and duplicate', [count('accepted'), count('duplicate')], [DELIVERIES, DELIVERIES]);
  isInAJournalOnce();
}

/** The sessions' own databases are read: workerd was given a folder for them in the temporary folder. */
function isInAJournalOnce(): void {
  const journals = journalFiles(tmpdir()).map(readJournal);
  same('Journals', journals.length, ISSUES);
  for (const { numbers } of journals) {
    same(
      'Numbers in a journal',
      numbers,
      numbers.map((_, index) => index + 1),
    );
  }
  const prompts = journals.flatMap((journal) => journal.prompts);
  same('Prompts in the journals', prompts.length, DELIVERIES);
  same('Different prompts', new Set(prompts).size, DELIVERIES);
}

function variables(secrets: LocalSecrets): Record<string, string> {
  return {
    ENVIRONMENT: 'local',
    PUBLIC_URL: 'http://localhost',
    CLAUDE_CREDENTIAL: 'subscription',
    CLAUDE_MODEL: 'sonnet',
    SANDBOX: 'container',
    SANDBOX_ENDPOINT_URL: '',
    LINEAR_API_URL: 'http://localhost/graphql',
    ANTHROPIC_API_URL: 'http://localhost',
    WEBHOOK_MAX_AGE_HOURS: '8',
    SCRIPTED_MODEL: 'true',
    PAUSED: 'false',
    LINEAR_WEBHOOK_SECRET: secrets.webhookSecret,
    ENCRYPTION_KEY: secrets.encryptionKey,
    ADMIN_TOKEN: secrets.adminToken,
    ACCESS_PASSWORD: secrets.accessPassword,
    CLAUDE_CODE_OAUTH_TOKEN: secrets.scriptedModelToken,
  };
}

interface SignedDelivery {
  /** By which the minimal Worker names its object; Cyrus reads the body. */
  issue: string;
  id: string;
  event: string;
  body: string;
  signature: string;
}

/** What Linear would send if people gave a hundred issues to Cyrus and wrote nine comments on each. */
async function signedDeliveries(webhookSecret: string): Promise<SignedDelivery[]> {
  const linear = await startLinearSimulator({
    webhookUrl: null,
    webhookSecret,
    accessToken: 'nobody asks',
    resourceTypes: ['AgentSessionEvent'],
  });
  for (let number = 1; number <= ISSUES; number++) {
    const { identifier } = linear.createIssue({ title: `Issue ${number}` });
    linear.delegate(identifier);
    for (let comment = 1; comment < EACH; comment++) linear.comment(identifier, `Comment ${comment}`);
  }
  const deliveries = linear.deliveries();
  await linear.close();
  return deliveries.map(({ id, event, body }) => {
    const issue = /"issueId":"([^"]+)"/.exec(body)?.[1] ?? '';
    return { issue, id, event, body, signature: createHmac('sha256', webhookSecret).update(body).digest('hex') };
  });
}

/** @returns the answer; `ms` from the call until the last byte of it */
function post(url: string, agent: Agent, { issue, id, event, body, signature }: SignedDelivery): Promise<Answer> {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(body),
          'linear-delivery': id,
          'linear-event': event,
          'linear-signature': signature,
          'x-bench-issue': issue,
        },
      },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        incoming.once('error', reject);
        incoming.once('end', () => {
          const { outcome }: { outcome?: unknown } = Object(parse(text));
          resolve({ status: incoming.statusCode ?? 0, outcome: String(outcome), ms: performance.now() - since });
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** The Worker may be writing to a file, or folding its log into it, while the journal is read. */
const BUSY_MS = 10_000;

/** The SQLite file of every issue session under a folder. */
function journalFiles(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /IssueSession\/[0-9a-f]{64}\.sqlite$/.test(file)).map((file) => join(folder, file));
}

function readJournal(file: string): { numbers: number[]; prompts: string[] } {
  const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS });
  const rows = database.prepare('SELECT seq, kind, body FROM journal ORDER BY seq').all();
  database.close();
  const prompts = rows.filter((row) => row.kind === 'prompt').map((row) => promptSchema.parse(parse(String(row.body))));
  return { numbers: rows.map((row) => Number(row.seq)), prompts: prompts.map((prompt) => prompt.promptId) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
