/**
 * Starts the sandbox and gives it commands. The sandbox server knows a command by its id and carries it out once; a start
 * finds the sandbox of its generation if it runs.
 */
import { findUploads } from '../../linear/uploads.ts';
import { log } from '../../observability/log.ts';
import type { SandboxCommand } from '../../protocol/sandbox/commands.ts';
import { toClaude } from '../../protocol/text/clean-text.ts';
import { sandboxFor } from '../../sandbox/choose.ts';
import { type Sandbox, SandboxLostError } from '../../sandbox/sandbox.ts';
import { withRequest } from '../inbound/unread-request.ts';
import { cannotReport } from '../lifecycle/effects/sandbox-started.ts';
import type { Lost } from '../lifecycle/model/effect-results.ts';
import { currentTurn } from '../lifecycle/model/phases.ts';
import { idOf, isOwn } from '../lifecycle/requests.ts';
import { withAttachments } from './attachments.ts';
import { linearOf, type Perform, SetupError, type Surroundings } from './effect-context.ts';
import { recap } from './start/recap.ts';
import { withRelatedIssues } from './start/related-issues.ts';
import { startSandbox as bringUp } from './start/start-sandbox.ts';

export const startSandbox: Perform<'start-sandbox'> = async ({ generation, look }, surroundings) => {
  const result = await orLost(generation, () => bringUp(generation, surroundings, linearOf(surroundings)));
  const { state } = surroundings;
  if (look && result.kind === 'started' && cannotReport(state.sandbox, result.status)) {
    log('alert.sandbox.gateway_unreachable', {
      session: state.id,
      issue: state.issue?.identifier,
      workspace: state.workspaceId,
      address: state.origin,
    });
  }
  return result;
};

export const promptSandbox: Perform<'prompt-sandbox'> = async (effect, surroundings) => {
  const { promptId, turn, preface = '' } = effect;
  const kept = surroundings.promptText(promptId);
  if (kept === null) throw new SetupError('the text of the prompt is missing', 'Comment again.');
  const linear = linearOf(surroundings);
  const asked = await withRelatedIssues(await withRequest(kept, linear), linear);
  const told = [...(effect.recap ? [recapOf(promptId, surroundings)] : []), preface, asked];
  const text = told.filter((part) => part !== '').join('\n\n');
  return orLost(surroundings.state.sandbox.generation, async () => {
    const whole = await withAttachments(text, surroundings, sandboxOf(surroundings));
    await send(surroundings, { type: 'prompt', id: promptId, turn, text: toClaude(whole) });
    return null;
  });
};

export const answerSandbox: Perform<'answer-sandbox'> = async ({ id, requestId, input }, surroundings) => {
  const given = Object.entries(typeof input.answers === 'object' && input.answers !== null ? input.answers : {});
  const answers: [string, string][] = [];
  for (const [question, answer] of given) {
    answers.push([question, toClaude(await withLinkedFiles(String(answer), surroundings))]);
  }
  await send(surroundings, {
    type: 'answer',
    id,
    requestId,
    input: { ...input, answers: Object.fromEntries(answers) },
  });
  return null;
};

export const decideSandbox: Perform<'decide-sandbox'> = async ({ id, requestId, decision }, surroundings) => {
  const told = decision.allowed
    ? decision
    : { ...decision, message: toClaude(await withLinkedFiles(decision.message, surroundings)) };
  await send(surroundings, { type: 'decide', id, requestId, decision: told });
  return null;
};

export const stopSandbox: Perform<'stop-sandbox'> = ({ id, turn }, surroundings) =>
  orLost(surroundings.state.sandbox.generation, async () => {
    await send(surroundings, { type: 'stop', id, turn });
    return null;
  });

/** Deleting twice is deleting once, and the server keeps later lives. */
export const purgeSandbox: Perform<'purge-sandbox'> = async ({ generation }, surroundings) => {
  const { state } = surroundings;
  // Otherwise another turn has begun meanwhile, and may have its sandbox there.
  const isAtRest = state.phase.name === 'waiting' && state.sandbox.streamId === null;
  if (isAtRest) await sandboxFor(surroundings, state.id, generation).purge(state.id, generation);
  return null;
};

/** The sandbox of the session's present life. */
function sandboxOf(surroundings: Surroundings): Sandbox {
  const { state } = surroundings;
  return sandboxFor(surroundings, state.id, state.sandbox.generation);
}

async function send(surroundings: Surroundings, command: SandboxCommand): Promise<void> {
  await sandboxOf(surroundings).command(surroundings.state.id, command);
}

/** A sandbox that has nothing of the session any more is an outcome: another one takes its place. */
async function orLost<R>(generation: number, attempt: () => Promise<R>): Promise<R | Lost> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof SandboxLostError) return { kind: 'lost', generation };
    throw error;
  }
}

/** Most entries of a kind that are looked through for what was done so far. */
const RECAP_ENTRIES = 40;

/** What was done before this prompt. */
function recapOf(promptId: string, { journal, state, promptText }: Surroundings): string {
  const asked = (currentTurn(state)?.prompts ?? []).filter(
    (request) => isOwn(request) && request.promptId !== promptId,
  );
  return recap({
    entries: [
      ...(['prompt', 'text'] as const).flatMap((kind) => journal.newest(kind, RECAP_ENTRIES)),
      ...journal.newest('saved', 1),
    ],
    asked: asked.map(idOf),
    textOf: promptText,
    calls: state.calls ?? [],
  });
}

/** What people said to Claude's process, which waits: files are looked for only where it links some. */
async function withLinkedFiles(text: string, surroundings: Surroundings): Promise<string> {
  const isLinking = findUploads(text, surroundings.config.linear.uploadsUrl).length > 0;
  return isLinking ? withAttachments(text, surroundings, sandboxOf(surroundings)) : text;
}
