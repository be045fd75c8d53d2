/** Sessions under test: found by their thread, and spoken to the way routes do. */
import { env, exports } from 'cloudflare:workers';
import type { SessionPage } from '../../../src/protocol/api.ts';
import type { JournalEntry } from '../../../src/protocol/journal.ts';
import type { EventBatch } from '../../../src/protocol/sandbox/batches.ts';
import type { SandboxEventBody } from '../../../src/protocol/sandbox/events.ts';
import type { ViewerFrame } from '../../../src/protocol/viewer.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { upsertRepository } from '../../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../../src/store/workspaces/workspaces.ts';
import { ORGANIZATION, type Thread } from './linear-webhook.ts';
import { BOOT_ID, STREAM_ID } from './outside.ts';

/** The workspace whose webhooks the tests send, with one repository, and with all its places free. */
export async function registerWorkspace(): Promise<void> {
  const queue = env.WORKSPACE_QUEUE.getByName(ORGANIZATION);
  const { working, waiting } = await queue.line();
  for (const { session: id, turn } of [...waiting, ...working]) await queue.give(id, turn);
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app-user-1', accessToken: 'lin_oauth_test' };
  await upsertWorkspace(database, ORGANIZATION, workspace, 1);
  const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main' };
  await upsertRepository(database, ORGANIZATION, 'acme/shop', repository, 1);
}

export function session({ issueId, agentSessionId }: Thread) {
  const name = issueId ? `issue:${issueId}` : `agent-session:${agentSessionId}`;
  return env.ISSUE_SESSION.getByName(`${ORGANIZATION}:${name}`);
}

/** The session with its whole journal, as the page route gives it. */
export async function page(thread: Thread): Promise<SessionPage | null> {
  const text = await session(thread).page(0, 100_000);
  return text === null ? null : JSON.parse(text);
}

export async function journal(thread: Thread): Promise<JournalEntry[]> {
  return (await page(thread))?.entries ?? [];
}

/** A sandbox that numbers what it reports. */
export class Reporter {
  readonly #thread: Thread;
  #seq = 0;

  constructor(thread: Thread) {
    this.#thread = thread;
  }

  batch(...bodies: SandboxEventBody[]): EventBatch {
    const events = bodies.map(
      (body) => ({ ...body, seq: ++this.#seq, at: Date.now() }) as EventBatch['events'][number],
    );
    return { generation: 1, bootId: BOOT_ID, streamId: STREAM_ID, events };
  }

  send(batch: EventBatch) {
    return session(this.#thread).ingest(batch);
  }

  report(...bodies: SandboxEventBody[]) {
    return this.send(this.batch(...bodies));
  }
}

/** A viewer's socket. `frames` grows as they arrive. */
export interface Viewer {
  frames: ViewerFrame[];
  socket: WebSocket;
}

export async function watch(thread: Thread, after = 0): Promise<Viewer> {
  const url = `http://cyrus.test/api/sessions/${session(thread).id.toString()}/live?after=${after}`;
  const response = await exports.default.fetch(url, { headers: { upgrade: 'websocket' } });
  const { webSocket: socket } = response;
  if (!socket) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  const frames: ViewerFrame[] = [];
  socket.addEventListener('message', (event) => {
    for (const line of String(event.data).split('\n')) frames.push(JSON.parse(line));
  });
  socket.accept();
  return { frames, socket };
}
