/** Many webhooks at once, each twice: Linear gives five seconds for an answer. */
import { createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import type { Stack } from '../../dev/stack.ts';
import { CyrusSession, isNumberedWithoutGaps } from './cyrus-session.ts';
import { type Run, same, within } from './run.ts';
import { setStack } from './stage.ts';

const ISSUES = 100;
/** Of one issue: one that opens its session, and comments. */
const EACH = 10;
export const ANSWER_LIMIT_MS = 5_000;

/** For the flight record. Times in milliseconds. */
export interface Burst {
  accepted: number;
  duplicate: number;
  medianMs: number;
  slowestMs: number;
  totalMs: number;
}

interface Answer {
  status: number;
  outcome: string;
  ms: number;
}

/** Runs on a stack of its own whose effects wait (`PAUSED`), so that a hundred sandboxes do not start. */
export async function burst(run: Run, folder: string): Promise<Burst> {
  const stack = await setStack({
    folder,
    variables: { PAUSED: 'true' },
    linear: { resourceTypes: ['AgentSessionEvent'] },
  });
  try {
    const deliveries = signedDeliveries(stack);
    const answers = await run.promise('1,000 webhooks at once, each sent twice, are all answered in time', async () => {
      same('Deliveries', deliveries.length, ISSUES * EACH);
      const agent = new Agent({ keepAlive: true });
      const since = performance.now();
      const twice = deliveries.flatMap((delivery) => [delivery, delivery]);
      const answers = await Promise.all(twice.map((delivery) => post(stack, agent, delivery)));
      const totalMs = performance.now() - since;
      agent.destroy();
      const statuses = new Set(answers.map((answer) => answer.status));
      same('Statuses', [...statuses], [200]);
      const times = answers.map((answer) => answer.ms).sort((one, other) => one - other);
      const slowest = Math.round(times.at(-1) ?? 0);
      within('The slowest answer', slowest, ANSWER_LIMIT_MS);
      const count = (outcome: string) => answers.filter((answer) => answer.outcome === outcome).length;
      const medianMs = Math.round(times[times.length / 2] ?? 0);
      return {
        accepted: count('accepted'),
        duplicate: count('duplicate'),
        medianMs,
        slowestMs: slowest,
        totalMs: Math.round(totalMs),
      };
    });
    await run.promise('Each of them is in a journal, once', async () => {
      same('Accepted and duplicate', [answers.accepted, answers.duplicate], [ISSUES * EACH, ISSUES * EACH]);
      const ids = sessionIds(stack);
      same('Sessions', ids.length, ISSUES);
      const seen: string[] = [];
      for (const id of ids) {
        const { entries } = await new CyrusSession(`${stack.url}/sessions/${id}`).read();
        isNumberedWithoutGaps(entries);
        seen.push(...entries.filter((entry) => entry.kind === 'prompt').map((entry) => entry.promptId));
      }
      same('Prompts in the journals', seen.length, ISSUES * EACH);
      same('Different prompts in the journals', new Set(seen).size, ISSUES * EACH);
    });
    return answers;
  } finally {
    await stack.close();
  }
}

interface SignedDelivery {
  id: string;
  event: string;
  body: string;
  signature: string;
}

/** What Linear would send if people gave a hundred issues to Cyrus and wrote nine comments on each. */
function signedDeliveries({ linear, secrets }: Stack): SignedDelivery[] {
  linear.setFaults({ webhooks: { hold: true } });
  for (let number = 1; number <= ISSUES; number++) {
    const { identifier } = linear.createIssue({ title: `Issue ${number}`, description: '[script: no-change]' });
    linear.delegate(identifier);
    for (let comment = 1; comment < EACH; comment++) linear.comment(identifier, `Comment ${comment}`);
  }
  return linear.deliveries().map(({ id, event, body }) => ({
    id,
    event,
    body,
    signature: createHmac('sha256', secrets.webhookSecret).update(body).digest('hex'),
  }));
}

/** @returns the answer; `ms` from the call until the last byte of it */
function post(stack: Stack, agent: Agent, { id, event, body, signature }: SignedDelivery): Promise<Answer> {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${stack.url}/webhooks/linear`,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(body),
          'linear-delivery': id,
          'linear-event': event,
          'linear-signature': signature,
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

/** Ids of the sessions: the list in D1 is an effect and waits, but each session has a database named by its id. */
function sessionIds(stack: Stack): string[] {
  const root = join(stack.folder, 'worker');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return files.flatMap((file) => /IssueSession\/([0-9a-f]{64})\.sqlite$/.exec(file)?.[1] ?? []);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
