/** `/api/v1/sessions/:id/…`: prompts, answers and stops. */
import type { Hono } from 'hono';
import { followUpPrompt } from '../../claude/prompts.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import type { Taken } from '../../protocol/v1/schemas.ts';
import type { Delivery } from '../../session/inbound/delivery.ts';
import type { NamedAnswer } from '../../session/lifecycle/model/events.ts';
import { needsSession, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { askerOf, takeIn } from '../sessions/requests.ts';
import { requestIdOf } from './once.ts';
import { problemAnswer } from './problems.ts';
import { serve } from './serve.ts';

/** Adds the routes. */
export function steeringRoutes(api: Hono<PeopleEnv>): void {
  serve(api, OPERATIONS.promptSession, needsSession('session.work'), async (c, { body: { text } }) =>
    deliver(c, 'session.prompted', await promptOf(c, text, null)),
  );

  serve(api, OPERATIONS.answerQuestion, needsSession('session.work'), async (c, { body }) => {
    const { question, options, text } = body;
    if (text === undefined && options.length === 0) {
      const message = 'Give the ids of options, or a text.';
      return problemAnswer(400, 'bad_request', message, [{ in: 'body', pointer: '/text', message }]);
    }
    return deliver(c, 'session.answered', await promptOf(c, text ?? options.join(', '), { question, options }));
  });

  serve(api, OPERATIONS.stopSession, needsSession('session.work'), async (c) => {
    const { name: author } = askerOf(c);
    const id = await requestIdOf(c);
    const event = { type: 'stop-requested', id, agentSessionId: null, author, source: 'page' } as const;
    return deliver(c, 'session.stopped', { id, event });
  });
}

interface Request extends Pick<Delivery, 'event' | 'promptText'> {
  id: string;
}

/** A prompt as the page sends it. @param answers null: it answers nothing */
export async function promptOf(c: PeopleContext, text: string, answers: NamedAnswer | null): Promise<Request> {
  const { name: author, person } = askerOf(c);
  const id = await requestIdOf(c);
  const prompt = followUpPrompt({ author, text });
  const by = { promptId: id, agentSessionId: null, author, person, source: 'page' } as const;
  return { id, event: { type: 'prompted', ...by, text, answers }, promptText: { followUp: prompt, first: prompt } };
}

async function deliver(c: PeopleContext, action: `session.${string}`, { id, ...request }: Request): Promise<Response> {
  const asked = { action, requestId: id, sessionId: c.req.param('id') ?? '' };
  const taken = await takeIn(c, asked, c.var.session, request);
  if (taken.kind === 'refused') return c.json(taken.problem, taken.status);
  return c.json({ request: id, outcome: taken.outcome } satisfies Taken, 202);
}
