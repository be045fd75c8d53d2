/** Carries out one effect. What goes wrong is sorted by its cause (session/lifecycle/model/retry-policies.ts), with words for people. */

import { claudeAccount } from '../../gateway/claude/account.ts';
import { GitHubError } from '../../github/errors.ts';
import { messageOf } from '../../lib/error.ts';
import { type IssueNow, LinearClient, type ThreadPost } from '../../linear/api/client.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { sendThrough } from '../../linear/api/send.ts';
import { findUploads } from '../../linear/uploads.ts';
import type { SandboxCommand } from '../../protocol/sandbox.ts';
import { toClaude } from '../../protocol/text/clean-text.ts';
import { sandboxFor } from '../../sandbox/choose.ts';
import { type Sandbox, SandboxError, SandboxLostError } from '../../sandbox/sandbox.ts';
import { DatabaseError, indexSession } from '../../store/database.ts';
import { putTurnLog } from '../../store/logs.ts';
import { withRequest } from '../inbound/unread-request.ts';
import { withdrawalByState } from '../inbound/webhook-to-event.ts';
import { type Effect, isAwaited, isThreadEffect, type ThreadEffect } from '../lifecycle/model/effects.ts';
import type { EffectResult } from '../lifecycle/model/events.ts';
import type { Cause } from '../lifecycle/model/retry-policies.ts';
import { currentTurn } from '../lifecycle/model/state.ts';
import { idOf, isOwn } from '../lifecycle/requests.ts';
import { rowOf } from '../viewers/session-view.ts';
import { withAttachments } from './attachments.ts';
import type { Surroundings } from './effect-context.ts';
import { SetupError } from './effect-context.ts';
import { logParts } from './log-document.ts';
import { openPullRequest } from './open-pull-request.ts';
import { takePlace } from './queue-slots.ts';
import { withAssets } from './shared-files.ts';
import { recap } from './start/recap.ts';
import { withRelatedIssues } from './start/related-issues.ts';
import { startSandbox } from './start/start-sandbox.ts';

/** An effect failed. `retryAt`: not before then, in milliseconds since the epoch. */
export interface Failure {
  cause: Cause;
  message: string;
  hint: string | null;
  retryAt: number | null;
  /** What is waited for until the next attempt, for people; left out where they need not know. */
  reason?: string;
}

/**
 * Carries out effects that travel together: one, or several of the same thread in Linear.
 * @throws LinearError, GitHubError, SandboxError, SetupError, or whatever D1 and R2 throw; see `toFailure`
 */
export async function performTogether(effects: Effect[], surroundings: Surroundings): Promise<EffectResult> {
  const [first] = effects;
  if (first && !isThreadEffect(first)) return perform(first, surroundings);
  const told: ThreadEffect[] = [];
  for (const effect of effects.filter(isThreadEffect)) {
    const isSay = effect.kind === 'say';
    told.push(isSay ? { ...effect, activity: await withAssets(effect.activity, surroundings) } : effect);
  }
  await postToThread(told, linear(surroundings));
  return null;
}

async function perform(effect: Exclude<Effect, ThreadEffect>, surroundings: Surroundings): Promise<EffectResult> {
  const { state, env, database } = surroundings;
  const { generation } = state.sandbox;
  const toSandbox = (command: SandboxCommand) =>
    sandboxFor(surroundings, state.id, generation).command(state.id, command);
  switch (effect.kind) {
    case 'open-thread': {
      const client = linear(surroundings);
      const { commentId, issueId } = effect;
      const on = commentId === null ? { issueId } : { commentId };
      const page = { label: 'Live session', url: `${state.origin}/sessions/${state.id}` };
      // Linear's own thread may have come while Linear took no request, or the request was withdrawn.
      const isWanted = state.expectedThread?.promptId === effect.promptId;
      const thread = await client.openThread(on, { known: Object.keys(state.agentSessions), page, isWanted });
      return thread && { kind: 'thread', agentSessionId: thread.id, isLinears: thread.isLinears };
    }
    case 'look-at-issue':
      return seen(await linear(surroundings).issueNow(effect.issueId));
    case 'start-issue':
      await linear(surroundings).startIssue(effect.issueId, effect.delegate);
      return null;
    case 'start-sandbox':
      return orLost(effect.generation, () => startSandbox(effect.generation, surroundings, linear(surroundings)));
    case 'prompt-sandbox': {
      const kept = surroundings.promptText(effect.promptId);
      if (kept === null) throw new SetupError('the text of the prompt is missing', 'Comment again.');
      const asked = await withRelatedIssues(await withRequest(kept, linear(surroundings)), linear(surroundings));
      const told = [...(effect.recap ? [recapOf(effect.promptId, surroundings)] : []), effect.preface ?? '', asked];
      const text = told.filter((part) => part !== '').join('\n\n');
      return orLost(generation, async () => {
        const sandbox = sandboxFor(surroundings, state.id, generation);
        const whole = await withAttachments(text, surroundings, sandbox);
        const command = { type: 'prompt', id: effect.promptId, turn: effect.turn, text: toClaude(whole) } as const;
        await sandbox.command(state.id, command);
        return null;
      });
    }
    case 'answer-sandbox': {
      const { id, requestId, input } = effect;
      const sandbox = sandboxFor(surroundings, state.id, generation);
      const given = Object.entries(typeof input.answers === 'object' && input.answers !== null ? input.answers : {});
      const answers: [string, string][] = [];
      for (const [question, answer] of given) {
        answers.push([question, toClaude(await withLinkedFiles(String(answer), surroundings, sandbox))]);
      }
      await toSandbox({ type: 'answer', id, requestId, input: { ...input, answers: Object.fromEntries(answers) } });
      return null;
    }
    case 'decide-sandbox': {
      const { id, requestId } = effect;
      const { decision } = effect;
      const sandbox = sandboxFor(surroundings, state.id, generation);
      const told = decision.allowed
        ? decision
        : { ...decision, message: toClaude(await withLinkedFiles(decision.message, surroundings, sandbox)) };
      await toSandbox({ type: 'decide', id, requestId, decision: told });
      return null;
    }
    case 'stop-sandbox': {
      return orLost(generation, async () => {
        await toSandbox({ type: 'stop', id: effect.id, turn: effect.turn });
        return null;
      });
    }
    case 'open-pull-request':
      return openPullRequest(effect, surroundings);
    case 'attach-pull-request':
      await linear(surroundings).attachPullRequest(effect);
      return null;
    case 'find-room':
      return { kind: 'room', at: await claudeAccount(env).room(state.id) };
    case 'ask-place':
      return { kind: 'place', place: await takePlace(surroundings) };
    case 'give-place':
      await env.WORKSPACE_QUEUE.getByName(state.workspaceId).give(state.id, effect.turn);
      return null;
    case 'index-session': {
      const { identifier, repository, ...row } = rowOf(state);
      await indexSession(database, {
        ...row,
        issueIdentifier: identifier,
        repositoryFullName: repository,
        workspaceId: state.workspaceId,
        branch: state.branch,
        version: state.revision,
      });
      return null;
    }
    case 'archive-turn': {
      const { journal } = surroundings;
      const entries = () => journal.ofTurn(effect.turn);
      const about = {
        identifier: state.issue?.identifier ?? null,
        title: rowOf(state).title,
        repository: state.repository,
        branch: state.branch,
        turn: effect.turn,
      };
      const markdown = logParts(about, { entries, at: (seq) => journal.at(seq) });
      await putTurnLog(env.LOGS, state.id, effect.turn, entries(), markdown);
      return null;
    }
  }
}

/** How an issue stands, as it concerns work on it. */
function seen({ stateType, archived, trashed, team, ...known }: IssueNow): EffectResult {
  const news = { ...known, team, teamId: team.id, at: Date.now() };
  const why = trashed ? 'removed' : archived ? 'archived' : withdrawalByState(stateType);
  return { kind: 'issue', news, why };
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
async function withLinkedFiles(text: string, surroundings: Surroundings, sandbox: Sandbox): Promise<string> {
  const isLinking = findUploads(text, surroundings.config.linear.uploadsUrl).length > 0;
  return isLinking ? withAttachments(text, surroundings, sandbox) : text;
}

/** A sandbox that has nothing of the session any more is an outcome: another one takes its place. */
async function orLost(generation: number, attempt: () => Promise<EffectResult>): Promise<EffectResult> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof SandboxLostError) return { kind: 'lost', generation };
    throw error;
  }
}

function linear({ env, state }: Surroundings): LinearClient {
  return new LinearClient(sendThrough(env, state.workspaceId, state.id));
}

/** What a thrown error means for the effect. What is not known is tried again. */
export function toFailure(error: unknown): Failure {
  const message = messageOf(error);
  const cause = (retryable: boolean): Cause => (retryable ? 'passing' : 'terminal');
  if (error instanceof SandboxError) {
    const { retryable, hint, reason } = error;
    return { cause: cause(retryable), message, hint, retryAt: null, ...(reason !== null && { reason }) };
  }
  if (error instanceof GitHubError) {
    return { cause: cause(error.retryable), message, hint: error.hint, retryAt: error.retryAt };
  }
  if (error instanceof LinearError) return ofLinear(error);
  if (error instanceof SetupError) return { cause: 'terminal', message, hint: error.hint, retryAt: null };
  const reason = error instanceof DatabaseError ? "Waiting for Cyrus's database (D1): it does not answer" : UNKNOWN;
  return { cause: 'passing', message, hint: null, retryAt: null, reason };
}

const UNKNOWN = 'Waiting for Cyrus itself: one of its services is failing';

/** Linear says so each time. */
const REFUSED_HINT = 'Trying again does not help until that is changed in Linear; then comment to continue.';

function ofLinear({ kind, message, retryAt }: LinearError): Failure {
  switch (kind) {
    case 'refused':
      return { cause: 'terminal', message, hint: REFUSED_HINT, retryAt };
    case 'unauthorized':
      return { cause: 'unauthorized', message, hint: 'Once an admin has fixed that, comment to continue.', retryAt };
    case 'unreachable':
      return { cause: 'passing', message, hint: null, retryAt, reason: 'Waiting for Linear: it does not answer' };
    case 'rate-limited': {
      const reason = "Waiting for Linear: this workspace's hourly rate limit is reached";
      return { cause: 'passing', message, hint: null, retryAt, reason };
    }
  }
}

/**
 * Posts activities and changes of one thread, in their order.
 * @param effects all of the same agent session
 * @throws LinearError; nothing is known then of which of several were carried out
 */
export async function postToThread(effects: ThreadEffect[], linear: LinearClient): Promise<void> {
  const [first] = effects;
  if (first) await linear.post(first.agentSessionId, threadPost(effects));
}

/** What the effects amount to; of several plans and titles the last counts. */
export function threadPost(effects: ThreadEffect[]): ThreadPost {
  const changes = effects.flatMap((effect) => (effect.kind === 'show' ? [effect.change] : []));
  const urls = changes.flatMap((change) => change.urls ?? []);
  const plan = changes.findLast((change) => change.plan)?.plan;
  const title = changes.findLast((change) => change.title)?.title;
  return {
    activities: effects.flatMap((effect) =>
      effect.kind === 'say' ? [{ id: effect.id, activity: effect.activity, isAwaited: isAwaited(effect) }] : [],
    ),
    ...(urls.length > 0 && { urls }),
    ...(plan && { plan }),
    ...(title !== undefined && { title }),
  };
}
