/**
 * The world outside of the Worker, for tests inside workerd: Linear's API and a sandbox, answering through `fetch`.
 * Everything that is sent is kept; answers can be made to fail.
 */
import { vi } from 'vitest';
import type { SandboxCommand } from '../../../src/protocol/sandbox/commands.ts';
import type { StartSession } from '../../../src/protocol/sandbox/start.ts';

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
  /** What Linear says is around every issue; the rest is nothing. */
  around: object = {};
  /** Called for every request before it is answered; a response given back is the answer. */
  interfere: (url: string, body: string, request: Request) => Response | null | Promise<Response | null> = () => null;
  /** Files of sandboxes, by name. */
  readonly files = new Map<string, Uint8Array>();
  /** What was uploaded to Linear, in order; the nth is shown at `assetUrl(n)`. */
  readonly uploaded: { headers: Headers; bytes: Uint8Array }[] = [];
  /** Files that were asked to be uploaded. */
  readonly toUpload: { contentType: string; filename: string; size: number }[] = [];

  constructor() {
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      const bytes = new Uint8Array(await request.arrayBuffer());
      const body = new TextDecoder().decode(bytes);
      const interfered = await this.interfere(request.url, body, request);
      return interfered ?? this.#upload(request, bytes) ?? this.#answer(request, body, bytes);
    });
  }

  /** Ids said so far, each as often as it arrived at Linear. */
  saidIds(): string[] {
    return this.said.map((said) => said.id);
  }

  /** Where Linear shows the nth uploaded file, counted from 0. */
  assetUrl(nth: number): string {
    return `https://uploads.linear.app/workspace/asset-${nth}`;
  }

  #upload(request: Request, bytes: Uint8Array): Response | null {
    if (request.method !== 'PUT' || !request.url.startsWith('https://storage.linear.test/')) return null;
    this.uploaded.push({ headers: request.headers, bytes });
    return new Response(null, { status: 200 });
  }

  #answer({ url: address, method }: Request, body: string, bytes: Uint8Array): Response {
    const url = new URL(address);
    if (url.hostname === 'api.linear.app') return this.#linear(JSON.parse(body));
    const [, kind, sessionId = '', sub, name = ''] = url.pathname.split('/');
    if (kind !== 'sessions') return new Response('nothing there', { status: 404 });
    if (sub === 'files') {
      const given = (file: string) => ({ name: file, path: `/side/${file}`, bytes: this.files.get(file)?.length ?? 0 });
      if (method === 'GET') return Response.json({ files: [...this.files.keys()].map(given) });
      this.files.set(name, bytes);
      return Response.json(given(name), { status: 201 });
    }
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
    if (query.includes('FileUpload')) {
      const assetUrl = this.assetUrl(this.toUpload.length);
      this.toUpload.push(variables as (typeof this.toUpload)[number]);
      const headers = [{ key: 'x-goog-content-length-range', value: String(variables.size) }];
      const uploadFile = { uploadUrl: `https://storage.linear.test/${this.toUpload.length}`, assetUrl, headers };
      return Response.json({ data: { fileUpload: { success: true, uploadFile } } });
    }
    if (query.includes('IssueThreads')) {
      return Response.json({ data: { viewer: { id: 'app-user-1' }, issue: { agentSessions: { nodes: [] } } } });
    }
    if (query.includes('agentSessionCreateOnIssue')) {
      const agentSession = { id: crypto.randomUUID() };
      return Response.json({ data: { agentSessionCreateOnIssue: { success: true, agentSession } } });
    }
    if (query.includes('issueUpdate')) this.updated.push(variables.input as object);
    if (query.includes('issueUpdate')) return Response.json({ data: { issueUpdate: { success: true } } });
    if (query.includes('IssueFacts')) return Response.json({ data: { issue: this.facts } });
    if (query.includes('IssueSurroundings')) {
      const none = { nodes: [] };
      return Response.json({
        data: { issue: { parent: null, children: none, relations: none, inverseRelations: none, ...this.around } },
      });
    }
    if (query.includes('SuggestRepositories')) {
      return Response.json({ data: { issueRepositorySuggestions: { suggestions: [] } } });
    }
    const states = { nodes: [{ id: 'started', position: 1 }] };
    return Response.json({
      data: { viewer: { id: 'app-user-1' }, issue: { state: { type: 'unstarted' }, team: { states } } },
    });
  }
}
