/** The calls that Cyrus makes to Linear in one workspace. Errors are LinearError; how a call gets there is `Send`'s business. */
import type { LinearDocument } from '@linear/sdk';
import { type IssueSurroundings, surroundingsOf } from '../issue-surroundings.ts';
import { type CommentText, type SessionSource, sourceOf, toCommentText } from '../webhooks/session-source.ts';
import { PRIORITIES, type Priority, type Send } from './call.ts';
import { LinearError } from './errors.ts';
import { ask } from './operation.ts';
import {
  ATTACH_PULL_REQUEST,
  ATTACH_URL,
  COMMENT_TEXT,
  COMMENT_THREAD,
  CREATE_ISSUE,
  ISSUE_FACTS,
  ISSUE_NOW,
  ISSUE_STATES,
  ISSUE_SURROUNDINGS,
  ISSUE_THREADS,
  type LinearThread,
  OPEN_THREAD_ON_COMMENT,
  OPEN_THREAD_ON_ISSUE,
  postOperation,
  SESSION_ISSUE,
  SESSION_PROMPTS,
  SESSION_SOURCE,
  SUGGEST_REPOSITORIES,
  TEAMS,
  UPDATE_ISSUE,
} from './operations.ts';

/** An activity, as `agentActivityCreate` takes it; an ephemeral one disappears in Linear as soon as the next one arrives. */
export interface Activity {
  content:
    | { type: 'thought' | 'response' | 'error' | 'elicitation'; body: string }
    | { type: 'action'; action: string; parameter: string; result?: string };
  ephemeral: boolean;
  /** Offered with an elicitation. */
  options?: { label: string; value: string }[];
}

/** States in which an issue is under way or over; it is not moved then. */
const SETTLED_STATES = ['started', 'completed', 'canceled', 'duplicate'];

/** An issue as it is now. */
export interface IssueNow {
  id: string;
  identifier: string;
  title: string;
  url: string;
  team: { id: string; key: string; name: string };
  labels: string[];
  /** Type of its workflow state: triage, backlog, unstarted, started, completed, canceled, duplicate. */
  stateType: string;
  archived: boolean;
  trashed: boolean;
}

/** What decides which repository an issue goes to and how Claude works on it. */
export interface IssueFacts {
  description: string;
  /** Linear's own suggestion for a branch; null or left out: it gave none. */
  branchName?: string | null;
  labels: string[];
  project: string | null;
  team: { id?: string; key: string; name: string } | null;
}

/**
 * What is posted to an agent session at once; activities in their order, each with a UUID v4 chosen once for it. `isAwaited`: a
 * person waits for it, whatever kind it is.
 */
export interface ThreadPost {
  activities: { id: string; activity: Activity; isAwaited?: boolean }[];
  /** Added to its external URLs; Linear keeps one entry for each address. */
  urls?: { label: string; url: string }[];
  /** Linear wants the whole of it every time. */
  plan?: { content: string; status: string }[];
  /** One line of at most 255 characters. */
  title?: string;
}

export class LinearClient {
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  /**
   * Posts to an agent session, in one request.
   * @throws LinearError; of several, some may have been carried out then: each activity by itself tells, for a repeat with the
   * same id is no second activity
   */
  async post(agentSessionId: string, { activities, urls, plan, title }: ThreadPost): Promise<void> {
    const change: LinearDocument.AgentSessionUpdateInput = {
      ...(urls && { addedExternalUrls: urls }),
      ...(plan && { plan: plan.map(({ content, status }) => ({ content, status })) }),
      ...(title !== undefined && { summary: title }),
    };
    const hasChange = Object.keys(change).length > 0;
    const inputs = activities.map(({ id, activity }, index) => [`a${index}`, inputOf(agentSessionId, id, activity)]);
    await ask(
      this.#send,
      postOperation(activities.length, hasChange),
      { ...Object.fromEntries(inputs), ...(hasChange && { id: agentSessionId, change }) },
      {
        priority: highest([
          ...activities.map(({ activity, isAwaited }) => (isAwaited ? 'answer' : priorityOf(activity))),
          ...(hasChange ? ['action' as const] : []),
        ]),
        idempotent: activities.length === 1 && !hasChange,
      },
    );
  }

  /**
   * Opens an agent session on an issue or on a root comment, unless there is one that is not known: an earlier try opened
   * it, or Linear did and its webhook is late. Linear takes no id of ours here; the page's address tells whose it is.
   * @param about `known`: ids of agent sessions that are about something else; `page`: the live page, which is linked;
   *   `isWanted`: false for a request that needs no thread any more, for which only what an earlier try opened is looked up
   * @returns its id, and whether Linear opened it; null if there is none and none is wanted
   */
  async openThread(
    on: { issueId: string } | { commentId: string },
    { known, page, isWanted }: { known: string[]; page: { label: string; url: string }; isWanted: boolean },
  ): Promise<{ id: string; isLinears: boolean } | null> {
    const open = (await this.#threadsOn(on)).find(({ id }) => !known.includes(id));
    if (open) return { id: open.id, isLinears: !open.externalLinks.some(({ url }) => url === page.url) };
    if (!isWanted) return null;
    const input = { externalUrls: [page] };
    const payload =
      'issueId' in on
        ? (await ask(this.#send, OPEN_THREAD_ON_ISSUE, { input: { ...on, ...input } })).agentSessionCreateOnIssue
        : (await ask(this.#send, OPEN_THREAD_ON_COMMENT, { input: { ...on, ...input } })).agentSessionCreateOnComment;
    if (!payload.success) throw new LinearError('unreachable', 'Linear answered success: false');
    return { id: payload.agentSession.id, isLinears: false };
  }

  /** Our own agent sessions there, oldest first. */
  async #threadsOn(on: { issueId: string } | { commentId: string }): Promise<LinearThread[]> {
    if ('issueId' in on) {
      const { viewer, issue } = await ask(this.#send, ISSUE_THREADS, { id: on.issueId });
      return issue.agentSessions.nodes.filter(({ appUser }) => appUser?.id === viewer.id);
    }
    const { viewer, comment } = await ask(this.#send, COMMENT_THREAD, { id: on.commentId });
    const thread = comment.agentSession;
    return thread?.appUser?.id === viewer.id ? [thread] : [];
  }

  async issueFacts(issueId: string): Promise<IssueFacts> {
    const { issue } = await ask(this.#send, ISSUE_FACTS, { id: issueId });
    return {
      description: issue.description ?? '',
      branchName: issue.branchName ?? null,
      labels: issue.labels.nodes.map(({ name }) => name),
      project: issue.project?.name ?? null,
      team: issue.team ?? null,
    };
  }

  /** The present state of an issue. @throws LinearError; `refused` if there is none, or Cyrus may not see it */
  async issueNow(issueId: string): Promise<IssueNow> {
    const { issue } = await ask(this.#send, ISSUE_NOW, { id: issueId });
    const { state, archivedAt, trashed, labels, ...known } = issue;
    return {
      ...known,
      labels: labels.nodes.map(({ name }) => name),
      stateType: state.type,
      archived: Boolean(archivedAt),
      trashed: trashed === true,
    };
  }

  /** The teams of the workspace that the app sees. @throws LinearError */
  async teams(): Promise<{ id: string; key: string; name: string }[]> {
    return (await ask(this.#send, TEAMS, {})).teams.nodes;
  }

  /**
   * Creates an issue; a repeat with the same id creates nothing.
   * @param issue `id`: UUID v4 chosen once; `author`: in whose name the app creates it; null: in its own
   * @throws LinearError; `refused` if Linear does not let the app create it there
   */
  async createIssue(issue: {
    id: string;
    teamId: string;
    title: string;
    description: string;
    author: string | null;
  }): Promise<void> {
    const { author, ...known } = issue;
    const input = { ...known, ...(author !== null && { createAsUser: author }) };
    await ask(this.#send, CREATE_ISSUE, { input }, { priority: 'answer', idempotent: true });
  }

  /** What is around an issue. @throws LinearError */
  async issueSurroundings(issueId: string): Promise<IssueSurroundings> {
    return surroundingsOf(await ask(this.#send, ISSUE_SURROUNDINGS, { id: issueId }));
  }

  /** A comment. @throws LinearError; `refused` if there is none, or Cyrus may not see it */
  async comment(id: string): Promise<CommentText> {
    return toCommentText((await ask(this.#send, COMMENT_TEXT, { id })).comment);
  }

  /** What an agent session was opened by. @throws LinearError; `refused` if there is no such session */
  async sessionSource(agentSessionId: string): Promise<SessionSource> {
    const answer = await ask(this.#send, SESSION_SOURCE, { id: agentSessionId });
    return sourceOf(answer.agentSession);
  }

  /** The issue that an agent session is on; null for a session in a document or project. @throws LinearError */
  async sessionIssue(agentSessionId: string): Promise<string | null> {
    return (await ask(this.#send, SESSION_ISSUE, { id: agentSessionId })).agentSession.issue?.id ?? null;
  }

  /**
   * What somebody said in an agent session about then, as a webhook would have it; null: nobody said anything.
   * @param at in ms since the epoch; of several the nearest to it counts
   * @param within how much earlier and later it may be, in ms @throws LinearError
   */
  async promptAt(
    agentSessionId: string,
    at: number,
    within: { before: number; after: number },
  ): Promise<Record<string, unknown> | null> {
    const asked = { id: agentSessionId, since: new Date(at - within.before).toISOString() };
    const { nodes } = (await ask(this.#send, SESSION_PROMPTS, asked)).agentSession.activities;
    const apart = ({ createdAt }: { createdAt: string }) => Math.abs(Date.parse(createdAt) - at);
    const said = nodes.filter(({ createdAt }) => Date.parse(createdAt) <= at + within.after);
    return said.toSorted((one, other) => apart(one) - apart(other))[0] ?? null;
  }

  /** Linear's guess which of these repositories an issue is about; confidence from 0 to 1. */
  async suggestRepositories(
    issueId: string,
    repositories: { fullName: string; hostname: string }[],
  ): Promise<{ fullName: string; confidence: number }[]> {
    const candidates = repositories.map(({ fullName, hostname }) => ({ repositoryFullName: fullName, hostname }));
    const answer = await ask(this.#send, SUGGEST_REPOSITORIES, { issueId, candidates });
    const { suggestions } = answer.issueRepositorySuggestions;
    return suggestions.map(({ repositoryFullName, confidence }) => ({ fullName: repositoryFullName, confidence }));
  }

  /**
   * Moves an issue to its team's first started state, unless it is started or over already.
   * @param delegate whether to become the issue's delegate, where it has none; its assignee stays who it is
   */
  async startIssue(issueId: string, delegate: boolean): Promise<void> {
    const { issue, viewer } = await ask(this.#send, ISSUE_STATES, { id: issueId });
    const [first] = issue.team.states.nodes.toSorted((a, b) => a.position - b.position);
    const input: LinearDocument.IssueUpdateInput = {};
    if (first && !SETTLED_STATES.includes(issue.state.type)) input.stateId = first.id;
    if (delegate && !issue.delegate) input.delegateId = viewer.id;
    if (Object.keys(input).length > 0) await ask(this.#send, UPDATE_ISSUE, { id: issueId, input });
  }

  /**
   * Attaches a pull request to an issue: as one where Linear knows its GitHub, as a plain link otherwise. The same address
   * on the same issue is one attachment.
   * @param attachment `id`: UUID v4 chosen once, so that a repeat attaches nothing twice
   */
  async attachPullRequest(attachment: { id: string; issueId: string; number: number; url: string }): Promise<void> {
    const { id, issueId, number, url } = attachment;
    const variables = { id, issueId, url, title: `Pull request #${number}` };
    const how = { priority: 'action', idempotent: true } as const;
    try {
      await ask(this.#send, ATTACH_PULL_REQUEST, variables, how);
    } catch (error) {
      if (!(error instanceof LinearError) || error.kind !== 'refused') throw error;
      await ask(this.#send, ATTACH_URL, variables, how);
    }
  }
}

function inputOf(agentSessionId: string, id: string, activity: Activity): LinearDocument.AgentActivityCreateInput {
  const input: LinearDocument.AgentActivityCreateInput = { id, agentSessionId, content: activity.content };
  if (activity.ephemeral) input.ephemeral = true;
  if (activity.options) {
    // The SDK declares signals as an enum at run time; the API takes its values.
    input.signal = 'select' as LinearDocument.AgentActivitySignal;
    input.signalMetadata = { options: activity.options };
  }
  return input;
}

function highest(priorities: Priority[]): Priority {
  return PRIORITIES.find((priority) => priorities.includes(priority)) ?? 'action';
}

/** What a person waits for goes first, what the next activity replaces goes last. */
function priorityOf({ content, ephemeral }: Activity): Priority {
  if (ephemeral) return 'ephemeral';
  switch (content.type) {
    case 'response':
    case 'elicitation':
    case 'error':
      return 'answer';
    case 'action':
    case 'thought':
      return content.type;
  }
}
