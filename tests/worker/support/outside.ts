/**
 * The world outside of the Worker, for tests inside workerd: Linear's API and a sandbox, answering through `fetch`.
 * Everything that is sent is kept; answers can be made to fail.
 */
import { vi } from 'vitest';
import type { SandboxCommand, StartSession } from '../../../src/protocol/sandbox.ts';

export const STREAM_ID = '6a3f1c22-0000-4000-8000-000000000001';
export const BOOT_ID = '6a3f1c22-0000-4000-8000-000000000002';

interface Said {
  id: string;
  agentSessionId: string;
  content: { type: string; body?: string; action?: string; parameter?: string };
  ephemeral?: boolean;
}

export class Outside {
  readonly said: Said[] = [];
  readonly starts: { sessionId: string; body: StartSession }[] = [];
  readonly commands: SandboxCommand[] = [];
  readonly linked: string[] = [];
  /** What issues were changed to. */
  readonly updated: object[] = [];
  /** Requests that posted to a thread. */
  posts = 0;
  /** What Linear says of every issue. */
  facts: object = {
    description: 'The test in the repository fails.',
    labels: { nodes: [] },
    project: null,
    team: { key: 'ENG', name: 'Engineering' },
  };
  /** Called for every request before it is answered; a response given back is the answer. */
  interfere: (url: string, body: string) => Response | null = () => null;

  constructor() {
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      const body = await request.text();
      return this.interfere(request.url, body) ?? this.#answer(new URL(request.url), request.method, body);
    });
  }

  /** Ids said so far, each as often as it arrived at Linear. */
  saidIds(): string[] {
    return this.said.map((said) => said.id);
  }

  #answer(url: URL, method: string, body: string): Response {
    if (url.hostname === 'api.linear.app') return this.#linear(JSON.parse(body));
    const [, kind, sessionId = '', sub] = url.pathname.split('/');
    if (kind !== 'sessions') return new Response('nothing there', { status: 404 });
    if (method === 'PUT') {
      const start = JSON.parse(body) as StartSession;
      this.starts.push({ sessionId, body: start });
      const { generation } = start;
      return Response.json({
        sessionId,
        generation,
        bootId: BOOT_ID,
        streamId: STREAM_ID,
        lastSeq: 0,
        state: 'preparing',
      });
    }
    if (sub === 'commands') {
      this.commands.push(JSON.parse(body) as SandboxCommand);
      return new Response(null, { status: 202 });
    }
    return new Response('nothing there', { status: 404 });
  }

  #linear({ query, variables }: { query: string; variables: Record<string, unknown> }): Response {
    const activities = Object.entries(variables).flatMap(([name, input]) =>
      /^a\d+$/.test(name) ? [input as Said] : [],
    );
    const change = variables.change as { addedExternalUrls?: { url: string }[] } | undefined;
    if (activities.length > 0 || change) {
      this.posts += 1;
      // As in Linear: carried out in order, until one is refused.
      for (const activity of activities) {
        const isRepeat = this.said.some((said) => said.id === activity.id);
        this.said.push(activity);
        if (isRepeat)
          return Response.json({ data: null, errors: [{ message: 'conflict on insert of AgentActivity' }] });
      }
      for (const { url } of change?.addedExternalUrls ?? []) this.linked.push(url);
      const names = [...activities.keys()].map((index) => `a${index}`);
      return Response.json({ data: Object.fromEntries(names.map((name) => [name, { success: true }])) });
    }
    if (query.includes('agentSessionCreateOnIssue')) {
      const agentSession = { id: crypto.randomUUID() };
      return Response.json({ data: { agentSessionCreateOnIssue: { success: true, agentSession } } });
    }
    if (query.includes('issueUpdate')) this.updated.push(variables.input as object);
    if (query.includes('issueUpdate')) return Response.json({ data: { issueUpdate: { success: true } } });
    if (query.includes('IssueFacts')) return Response.json({ data: { issue: this.facts } });
    if (query.includes('SuggestRepositories')) {
      return Response.json({ data: { issueRepositorySuggestions: { suggestions: [] } } });
    }
    const states = { nodes: [{ id: 'started', position: 1 }] };
    return Response.json({ data: { viewer: { id: 'app-user-1' }, issue: { state: { type: 'unstarted' }, team: { states } } } });
  }
}
