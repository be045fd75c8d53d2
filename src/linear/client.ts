/** The calls that Cyrus makes to Linear, by one workspace's token. Errors are LinearError. */
import type { LinearDocument } from '@linear/sdk';
import { z } from 'zod';
import { withTimeLimit } from '../limits/time-limit.ts';
import type { Activity } from './activities.ts';
import { answerSchema, isConflictOnInsert, LinearError, toLinearError } from './errors.ts';
import {
  CREATE_ACTIVITY,
  ISSUE_STATES,
  OPEN_THREAD_ON_COMMENT,
  OPEN_THREAD_ON_ISSUE,
  UPDATE_AGENT_SESSION,
  UPDATE_ISSUE,
} from './operations.ts';

const TIMEOUT_MS = 15_000;
/** States in which an issue is under way or over; it is not moved then. */
const SETTLED_STATES = ['started', 'completed', 'canceled', 'duplicate'];

const issueStatesSchema = z.object({
  issue: z.object({
    state: z.object({ type: z.string() }),
    team: z.object({ states: z.object({ nodes: z.array(z.object({ id: z.string(), position: z.number() })) }) }),
  }),
});

const openedSchema = z.record(
  z.string(),
  z.object({ success: z.boolean(), agentSession: z.object({ id: z.string() }) }),
);

export class LinearClient {
  readonly #apiUrl: string;
  readonly #accessToken: string;

  constructor(apiUrl: string, accessToken: string) {
    this.#apiUrl = apiUrl;
    this.#accessToken = accessToken;
  }

  /**
   * Posts an activity.
   * @param id UUID v4 chosen once for this activity; a repeat with the same id is no second activity
   */
  async createActivity(agentSessionId: string, id: string, activity: Activity): Promise<void> {
    const input: LinearDocument.AgentActivityCreateInput = { id, agentSessionId, content: activity.content };
    if (activity.ephemeral) input.ephemeral = true;
    await this.#mutate(CREATE_ACTIVITY, { input });
  }

  /** Adds an external URL to an agent session. Linear keeps one entry for each address. */
  async addExternalUrl(agentSessionId: string, label: string, url: string): Promise<void> {
    const input: LinearDocument.AgentSessionUpdateInput = { addedExternalUrls: [{ label, url }] };
    await this.#mutate(UPDATE_AGENT_SESSION, { id: agentSessionId, input });
  }

  /** Opens an agent session on an issue or on a root comment. @returns its id */
  async openThread(on: { issueId: string } | { commentId: string }): Promise<string> {
    const document = 'issueId' in on ? OPEN_THREAD_ON_ISSUE : OPEN_THREAD_ON_COMMENT;
    const [payload] = Object.values(openedSchema.parse(await this.#ask(document, { input: on })));
    if (!payload?.success) throw new LinearError('unreachable', 'Linear answered success: false');
    return payload.agentSession.id;
  }

  /** Moves an issue to its team's first started state, unless it is started or over already. */
  async startIssue(issueId: string): Promise<void> {
    const { issue } = issueStatesSchema.parse(await this.#ask(ISSUE_STATES, { id: issueId }));
    if (SETTLED_STATES.includes(issue.state.type)) return;
    const [first] = issue.team.states.nodes.toSorted((a, b) => a.position - b.position);
    if (!first) return;
    const input: LinearDocument.IssueUpdateInput = { stateId: first.id };
    await this.#mutate(UPDATE_ISSUE, { id: issueId, input });
  }

  /** A mutation whose payload says `success: false` has failed, whatever the HTTP status. */
  async #mutate(document: string, variables: object): Promise<void> {
    const data = await this.#ask(document, variables);
    if (data === null) return;
    const payloads = Object.values(z.record(z.string(), z.object({ success: z.boolean() })).parse(data));
    if (payloads.some((payload) => !payload.success)) {
      throw new LinearError('unreachable', 'Linear answered success: false');
    }
  }

  /** @returns the data; null where the thing was created by an earlier try */
  async #ask(document: string, variables: object): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      [response, text] = await withTimeLimit(TIMEOUT_MS, async (signal) => {
        const answered = await fetch(this.#apiUrl, {
          method: 'POST',
          headers: { authorization: `Bearer ${this.#accessToken}`, 'content-type': 'application/json' },
          body: JSON.stringify({ query: document, variables }),
          signal,
        });
        return [answered, await answered.text()];
      });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new LinearError('unreachable', `Linear cannot be reached: ${why}`, { cause });
    }
    const answer = answerSchema.safeParse(parseJson(text));
    const errors = answer.success ? (answer.data.errors ?? []) : [];
    if (isConflictOnInsert(errors)) return null;
    if (errors.length > 0 || !response.ok || !answer.success) {
      throw toLinearError(response.ok && !answer.success ? 502 : response.status, errors, response.headers);
    }
    return answer.data.data;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
