/** Plays events to the lifecycle with a clock and ids of its own, so that histories read like a story and replay exactly. */
import { assign } from '../../../src/claude/roles.ts';
import type { EventBatch } from '../../../src/protocol/sandbox/batches.ts';
import type { SandboxEventBody } from '../../../src/protocol/sandbox/events.ts';
import type { SandboxStatus } from '../../../src/protocol/sandbox/start.ts';
import { defaultWorkspaceSettings } from '../../../src/protocol/settings/access-rules.ts';
import { defaultSettings } from '../../../src/protocol/settings/repository.ts';
import type { Withdrawal } from '../../../src/session/lifecycle/issue-news.ts';
import type { Access } from '../../../src/session/lifecycle/model/admission.ts';
import type { Arrangement } from '../../../src/session/lifecycle/model/directives.ts';
import type { EffectResult } from '../../../src/session/lifecycle/model/effect-results.ts';
import type { Effect } from '../../../src/session/lifecycle/model/effects.ts';
import type { SessionEvent } from '../../../src/session/lifecycle/model/events.ts';
import { initialState, type SessionState } from '../../../src/session/lifecycle/model/state.ts';
import type { Draft, Transition } from '../../../src/session/lifecycle/model/transition.ts';
import { fence, reduce } from '../../../src/session/lifecycle/reduce.ts';

export const STREAM_ID = '5b7d9a3e-0000-4000-8000-000000000001';
const BOOT_ID = '5b7d9a3e-0000-4000-8000-000000000002';

type Started = Extract<EffectResult, { kind: 'started' }>;

/** What is decided if nothing was set, among these repositories. */
export function arrangement(more: Partial<Arrangement> = {}): Arrangement {
  return {
    assignment: assign([], defaultSettings, 'sonnet'),
    verbosity: 'normal',
    repositories: ['acme/shop', 'acme/site'],
    ...more,
  };
}

/** Who may ask if nothing was set. */
export function access(more: Partial<Access> = {}): Access {
  const team = { id: 'team-1', key: 'ENG', name: 'Engineering' };
  return { workspace: defaultWorkspaceSettings, repository: defaultWorkspaceSettings, team, ...more };
}

export class SessionPlay {
  state: SessionState;
  readonly entries: Draft[] = [];
  readonly effects: Effect[] = [];
  readonly asked: { promptId: string; text: string }[] = [];
  readonly copied: { promptId: string; of: string }[] = [];
  /** Lanes that the last event cancelled. */
  cancelledLanes: string[] = [];
  /** Told of each transition. */
  onTransition: ((transition: Transition, before: SessionState) => void) | null = null;
  now = 1_000_000;
  /** Whether the host has pull requests; where it has none, a turn ends as soon as that is known. */
  hasPullRequests = false;
  #ids = 0;
  #seq = 0;

  constructor() {
    this.state = initialState({
      id: 'session',
      workspaceId: 'workspace',
      origin: 'https://cyrus.example',
      issue: {
        id: 'issue',
        identifier: 'ENG-1',
        title: 'The cart',
        url: 'https://linear.app/acme/issue/ENG-1',
        teamId: 'team-1',
      },
      branch: 'cyrus/eng-1',
      conversationId: 'conversation-1',
      now: this.now,
    });
  }

  /** Plays one event; returns the effects it called for. */
  play(event: SessionEvent): Effect[] {
    this.now += 10;
    const before = this.state;
    const transition = reduce(before, event, { now: this.now, newId: () => `id-${++this.#ids}` });
    // The state is stored as JSON: what does not survive that would be lost with the object.
    this.note(transition, before, JSON.parse(JSON.stringify(transition.state)));
    if (this.hasPullRequests) return transition.effects;
    const others = transition.effects.filter((effect) => effect.kind !== 'open-pull-request');
    const after = transition.effects
      .filter((effect) => effect.kind === 'open-pull-request')
      .flatMap((effect) => this.play({ type: 'effect-done', effect, result: null }));
    return [...others, ...after];
  }

  /** A transition is stored. @param state as the next life would read it */
  protected note(transition: Transition, before: SessionState, state: SessionState): void {
    this.state = state;
    for (const output of transition.output) if ('entry' in output) this.entries.push(output.entry);
    this.effects.push(...transition.effects);
    this.asked.push(...transition.prompts);
    this.copied.push(...transition.copies);
    this.cancelledLanes = transition.cancelledLanes;
    this.onTransition?.(transition, before);
  }

  prompt(
    promptId: string,
    agentSessionId: string | null = 'thread-1',
    author: string | null = 'Ada',
    text = `do ${promptId}`,
  ): Effect[] {
    const person = author === null ? null : { id: author.toLowerCase(), email: `${author.toLowerCase()}@example.com` };
    return this.play({ type: 'prompted', promptId, agentSessionId, author, person, source: 'comment', text });
  }

  stop(agentSessionId: string | null = 'thread-1'): Effect[] {
    return this.play({
      type: 'stop-requested',
      id: `stop-${++this.#ids}`,
      agentSessionId,
      author: 'Ada',
      source: 'comment',
    });
  }

  withdraw(why: Withdrawal, teamIds: string[] = []): Effect[] {
    return this.play({ type: 'withdrawn', id: `withdrawal-${++this.#ids}`, why, author: 'Ada', teamIds });
  }

  /** The sandbox is up. */
  started(streamId = STREAM_ID, state: SandboxStatus['state'] = 'preparing', more: Partial<Started> = {}): Effect[] {
    return this.startedWith({ ...this.startedResult(streamId, state), ...more });
  }

  /** What a start comes to. @param status beside what the session knows of its sandbox */
  startedResult(streamId: string, state: SandboxStatus['state'], status: Partial<SandboxStatus> = {}): Started {
    const { generation } = this.state.sandbox;
    return {
      kind: 'started',
      repository: this.state.repository ?? 'acme/shop',
      baseBranch: this.state.baseBranch ?? 'main',
      arrangement: arrangement(),
      access: access(),
      status: { sessionId: 'session', generation, bootId: BOOT_ID, streamId, lastSeq: this.#seq, state, ...status },
    };
  }

  /** The start of the sandbox ends in this. */
  startedWith(result: EffectResult): Effect[] {
    const { generation } = this.state.sandbox;
    return this.play({ type: 'effect-done', effect: { kind: 'start-sandbox', generation }, result });
  }

  /** The sandbox reports these events, numbered on. */
  report(...bodies: SandboxEventBody[]): Effect[] {
    return this.play({ type: 'sandbox-reported', batch: this.batch(...bodies) });
  }

  batch(...bodies: SandboxEventBody[]): EventBatch {
    const { generation, streamId } = this.state.sandbox;
    const events = bodies.map((body) => ({ ...body, seq: ++this.#seq, at: this.now }) as EventBatch['events'][number]);
    return { generation, bootId: BOOT_ID, streamId: streamId ?? STREAM_ID, events };
  }

  isRefused(batch: EventBatch): boolean {
    return fence(this.state, batch) !== null;
  }

  /** A new life numbers from 1. */
  restartNumbers(): void {
    this.#seq = 0;
  }

  /** Nothing happens until the session does something by itself, at most so long. */
  rest(most: number): void {
    this.deadline(most);
  }

  deadline(later: number): Effect[] {
    this.now += later;
    return this.play({ type: 'deadline' });
  }

  /** What was said for good in a thread. */
  said(thread: string): string[] {
    return this.effects
      .filter((effect) => effect.kind === 'say')
      .filter((effect) => effect.agentSessionId === thread && !effect.activity.ephemeral)
      .map(({ activity: { content } }) =>
        content.type === 'action'
          ? `action: ${content.action} ${content.parameter}`
          : `${content.type}: ${content.body}`,
      );
  }

  /** Closing activities of a thread. */
  closings(thread: string): string[] {
    return this.said(thread).filter((text) => text.startsWith('response') || text.startsWith('error'));
  }

  kinds(effects: Effect[]): string[] {
    return effects.map((effect) => effect.kind);
  }
}

export function line(object: unknown): SandboxEventBody {
  return { type: 'line', line: JSON.stringify(object) };
}

export const init = line({
  type: 'system',
  subtype: 'init',
  cwd: '/workspace/shop',
  session_id: 'conversation-1',
  tools: ['Bash', 'Read'],
  mcp_servers: [],
  model: 'claude-sonnet-5-5',
  claude_code_version: '2.1.330',
  uuid: 'u1',
});

export function text(words: string): SandboxEventBody {
  return line({
    type: 'assistant',
    message: {
      id: `msg-${words}`,
      role: 'assistant',
      model: 'claude-sonnet-5-5',
      content: [{ type: 'text', text: words }],
    },
    parent_tool_use_id: null,
    session_id: 'conversation-1',
    uuid: `u-${words}`,
  });
}

export function result(words: string, promptIds: string[], more: object = {}): SandboxEventBody {
  return line({
    type: 'result',
    subtype: 'success',
    is_error: false,
    terminal_reason: 'completed',
    result: words,
    num_turns: 2,
    duration_ms: 1200,
    duration_api_ms: 900,
    total_cost_usd: 0.01,
    usage: { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
    permission_denials: [],
    user_message_uuids: promptIds,
    session_id: 'conversation-1',
    uuid: `r-${words}`,
    ...more,
  });
}

export const aborted = (promptIds: string[]) =>
  result('', promptIds, {
    subtype: 'error_during_execution',
    is_error: true,
    terminal_reason: 'aborted_tools',
    errors: ['[ede_diagnostic] result_type=user'],
  });

/** A limit of the plan ended the turn (measured with CLI 2.1.330). */
export const usedUp = (promptIds: string[]) =>
  result("You've hit your 5-hour limit · resets 1:19am (UTC)", promptIds, {
    is_error: true,
    terminal_reason: 'api_error',
    api_error: 'usage_limit_reached',
    api_error_status: 429,
  });

export function saved(turn: number, newCommits = 1, head = 'a'.repeat(40)): SandboxEventBody {
  return {
    type: 'saved',
    turn,
    branch: 'cyrus/eng-1',
    head,
    commits: [{ sha: head, subject: 'Fix the cart' }],
    files: [{ path: 'src/cart.js', additions: 1, deletions: 1 }],
    newCommits,
    pushed: true,
    patchBytes: 100,
  };
}

export const crashed: SandboxEventBody = {
  type: 'cli-exited',
  code: null,
  signal: 'SIGKILL',
  duringTurn: true,
  cause: 'crash',
};

/** Claude asks people something and waits. */
export function question(requestId = 'question'): SandboxEventBody {
  return line({
    type: 'control_request',
    request_id: requestId,
    request: {
      subtype: 'can_use_tool',
      tool_name: 'AskUserQuestion',
      input: { questions: [{ question: 'Which?', options: [{ label: 'This' }, { label: 'That' }] }] },
      tool_use_id: `toolu_${requestId}`,
    },
  });
}

/** A tool asks to be let run, and waits. */
export function permission(
  requestId: string,
  command = 'npm publish',
  request: { tool_name?: string; input?: unknown; decision_reason?: string } = {},
): SandboxEventBody {
  return line({
    type: 'control_request',
    request_id: requestId,
    request: {
      subtype: 'can_use_tool',
      tool_name: 'Bash',
      input: { command, description: 'Publish the package' },
      tool_use_id: `toolu_${requestId}`,
      ...request,
    },
  });
}

/** The CLI takes back what it asked. */
export function takenBack(requestId: string): SandboxEventBody {
  return line({ type: 'control_cancel_request', request_id: requestId });
}

/** Claude calls the Bash tool. */
export const call = (id: string) =>
  line({
    type: 'assistant',
    message: {
      id: `msg-${id}`,
      role: 'assistant',
      model: 'claude-sonnet-5-5',
      content: [{ type: 'tool_use', id, name: 'Bash', input: { command: `npm test -- ${id}` } }],
    },
    parent_tool_use_id: null,
  });
/** The result of that call. */
export const callResult = (id: string) =>
  line({
    type: 'user',
    message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: 'ok '.repeat(100) }] },
    parent_tool_use_id: null,
  });

/** A session whose first turn is at work. */
export function atWork(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(init);
  return play;
}
