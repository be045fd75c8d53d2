/** The door that Linear knocks at: what is not signed, or signed and old or repeated, starts nothing. */
import { randomUUID } from 'node:crypto';
import { type Attack, answers, held, NotHeld } from './attack.ts';
import { sendRaw } from './raw-http.ts';
import { STRANGERS_WORKSPACE, type Target } from './target.ts';

/** A webhook that Linear sent, about an issue of its own. */
export function genuineWebhook(target: Target, changes: { at?: number; title?: string } = {}): string {
  const [delivery] = target.stack.linear.deliveries({ event: 'AgentSessionEvent' });
  if (!delivery) throw new Error('Linear has sent nothing yet');
  const { issue, ...session } = JSON.parse(delivery.body).agentSession as Record<string, unknown>;
  return JSON.stringify({
    ...JSON.parse(delivery.body),
    organizationId: STRANGERS_WORKSPACE,
    webhookTimestamp: changes.at ?? Date.now(),
    agentSession: {
      ...session,
      id: randomUUID(),
      issue: { ...(issue as object), id: randomUUID(), title: changes.title ?? 'An issue' },
    },
  });
}

export const webhookAttacks: Attack[] = [
  {
    name: 'A webhook without a signature is refused',
    attempt: async (target) => {
      await answers('unsigned', await target.webhook(genuineWebhook(target), { 'linear-signature': null }), 401);
    },
  },
  {
    name: 'A webhook signed with another secret is refused',
    attempt: async (target) => {
      const body = genuineWebhook(target);
      const signature = target.signature(body, 'lin_wh_another_secret');
      await answers('another secret', await target.webhook(body, { 'linear-signature': signature }), 401);
    },
  },
  {
    name: 'A webhook whose body was changed after it was signed is refused',
    attempt: async (target) => {
      const body = genuineWebhook(target);
      const changed = body.replace('An issue', 'An Issue');
      await answers('changed', await target.webhook(changed, { 'linear-signature': target.signature(body) }), 401);
    },
  },
  {
    name: 'Two signatures, a cut one and one with more behind it are refused',
    attempt: async (target) => {
      const body = genuineWebhook(target);
      const right = target.signature(body);
      for (const signature of [
        `${right}, ${right}`,
        right.slice(0, 62),
        `${right}00`,
        ` ${right}x`,
        `sha256=${right}`,
      ]) {
        await answers(signature, await target.webhook(body, { 'linear-signature': signature }), 401);
      }
    },
  },
  {
    name: 'A webhook older than Linear repeats one is dropped',
    attempt: async (target) => {
      const text = await answers(
        'old',
        await target.webhook(genuineWebhook(target, { at: Date.now() - 9 * 3_600_000 })),
        200,
      );
      held(`an old one is ignored: ${text}`, text.includes('too_old'));
    },
  },
  {
    name: 'A delivery that is replayed changes nothing, under its own id or another',
    attempt: async (target) => {
      const body = genuineWebhook(target);
      const id = randomUUID();
      await answers('first', await target.webhook(body, { 'linear-delivery': id }), 200);
      for (const delivery of [id, randomUUID()]) {
        const text = await answers('again', await target.webhook(body, { 'linear-delivery': delivery }), 200);
        held(`a repeat is told apart: ${text}`, text.includes('duplicate'));
      }
    },
  },
  {
    name: 'What is signed and no webhook is answered without an error, and starts nothing',
    attempt: async (target) => {
      for (const body of ['', 'null', '[]', '"x"', '{"type":"AgentSessionEvent"}', '{', '\0', '[[[['.repeat(5_000)]) {
        const text = await answers(body.slice(0, 30), await target.webhook(body), 200);
        held(`it is ignored: ${text}`, text.includes('ignored'));
      }
    },
  },
  {
    name: 'The content type of a webhook opens nothing',
    attempt: async (target) => {
      const body = genuineWebhook(target);
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
        const response = await target.webhook(body, { 'content-type': type, 'linear-signature': '00'.repeat(32) });
        await answers(type, response, 401);
      }
    },
  },
  {
    name: 'A huge body is refused before it is read, with and without a length',
    attempt: async (target) => {
      const huge = 'x'.repeat(6 * 1024 * 1024);
      await answers('6 MiB', await target.webhook(huge), 413);
      const chunked = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(huge));
          controller.close();
        },
      });
      const init = { method: 'POST', body: chunked, duplex: 'half' } as RequestInit;
      await answers('6 MiB in chunks', await target.ask('/webhooks/linear', init), 413);
    },
  },
  {
    name: 'A broken chunk, a NUL byte and two lengths are answered 4xx or not at all',
    attempt: async (target) => {
      const head = 'POST /webhooks/linear HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n';
      for (const rest of [
        'Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n',
        'Transfer-Encoding: chunked\r\n\r\n5\r\nab',
        'Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
        'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'Content-Length: 50\r\n\r\nab',
        'X: a\0b\r\nContent-Length: 0\r\n\r\n',
      ]) {
        const { status, isLate, text } = await sendRaw(target.port, Buffer.from(head + rest, 'latin1'), 30_000);
        // The development server before the Worker says so of what it could not even hand on.
        if (text.includes('entry.worker.js')) continue;
        if (isLate) throw new NotHeld(`no answer to ${JSON.stringify(rest)}`);
        held(
          `${JSON.stringify(rest)} is answered ${status}: ${text.slice(-200)}`,
          status === 0 || (status >= 400 && status < 500),
        );
      }
    },
  },
];
