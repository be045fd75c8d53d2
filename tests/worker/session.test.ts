import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { journalEntrySchema } from '../../src/protocol/journal.ts';
import { viewerFrameSchema } from '../../src/protocol/viewer.ts';
import { applyFrame, emptyTimeline, type Timeline } from '../../src/web/live/timeline.ts';
import { histories } from '../histories.ts';
import { Random } from '../unit/support/random.ts';
import { init, line, result, saved, text } from '../unit/support/session-play.ts';
import { created, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session, type Viewer, watch } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

/** A session whose prompt has reached the sandbox. */
async function started(): Promise<{ thread: Thread; reporter: Reporter }> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  return { thread, reporter: new Reporter(thread) };
}

function delta(words: string, index = 0) {
  return line({
    type: 'stream_event',
    event: { type: 'content_block_delta', index, delta: { type: 'text_delta', text: words } },
    parent_tool_use_id: null,
    api_message_id: 'msg-1',
  });
}

const blockStart = [
  line({
    type: 'stream_event',
    event: { type: 'message_start', message: { id: 'msg-1', usage: {} } },
    parent_tool_use_id: null,
  }),
  line({
    type: 'stream_event',
    event: { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    parent_tool_use_id: null,
    api_message_id: 'msg-1',
  }),
];

/** The finished block of `blockStart`, as the CLI prints it. */
function blockEnd(words: string) {
  return line({
    type: 'assistant',
    message: { id: 'msg-1', role: 'assistant', model: 'claude-sonnet-5-5', content: [{ type: 'text', text: words }] },
    parent_tool_use_id: null,
  });
}

describe("the sandbox's reports", () => {
  it('are answered with the last number stored, and stored once', async () => {
    const { thread, reporter } = await started();
    const batch = reporter.batch(init, text('Hello.'));
    expect(await reporter.send(batch)).toMatchObject({ kind: 'stored', stored: 2 });
    expect(await reporter.send(batch)).toMatchObject({ kind: 'stored', stored: 2 });
    expect((await journal(thread)).filter((entry) => entry.kind === 'text')).toHaveLength(1);
  });

  it('of another life are refused', async () => {
    const { reporter } = await started();
    const batch = reporter.batch(init);
    expect(await reporter.send({ ...batch, generation: 2 })).toMatchObject({ kind: 'superseded' });
    await reporter.send(batch);
    expect(await reporter.send({ ...batch, streamId: crypto.randomUUID() })).toMatchObject({ kind: 'superseded' });
  });

  it('survive the loss of the object from memory between any two of them', async () => {
    const { thread, reporter } = await started();
    for (const body of [init, text('One.'), text('Two.'), result('Two.', [thread.agentSessionId]), saved(1)]) {
      await reporter.report(body);
      await evictDurableObject(session(thread));
    }
    await vi.waitFor(async () => {
      const kinds = (await journal(thread)).map((entry) => entry.kind);
      expect(kinds).toEqual([
        'prompt',
        'turn-started',
        'claude-started',
        'text',
        'text',
        'result',
        'saved',
        'turn-ended',
      ]);
    });
    await vi.waitFor(() => expect(outside.said.filter((said) => said.content.type === 'response')).toHaveLength(1));
  });

  it('give a journal of the documented shape, numbered without gaps', async () => {
    const { thread, reporter } = await started();
    await reporter.report(init, text('Hello.'), result('Hello.', [thread.agentSessionId]), saved(1));
    const entries = await journal(thread);
    expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, index) => index + 1));
    for (const entry of entries) journalEntrySchema.parse(entry);
  });
});

describe('a finished turn', () => {
  it('is archived in R2 as JSON lines and as Markdown, and listed in D1', async () => {
    const { thread, reporter } = await started();
    await reporter.report(init, text('All good.'), result('All good.', [thread.agentSessionId]), saved(1));
    const id = session(thread).id.toString();
    await vi.waitFor(async () => expect(await env.LOGS.get(`logs/${id}/0001.md`)).not.toBeNull());
    const stored = await env.LOGS.get(`logs/${id}/0001.jsonl.gz`);
    const lines = await new Response(stored?.body.pipeThrough(new DecompressionStream('gzip'))).text();
    expect(
      lines
        .trim()
        .split('\n')
        .map((entry) => JSON.parse(entry)),
    ).toEqual((await journal(thread)).filter((e) => e.turn === 1 || e.kind === 'prompt'));
    expect(lines).toContain('"kind":"prompt"');
    const markdown = await (await exports.default.fetch(`http://cyrus.test/api/sessions/${id}/log`)).text();
    expect(markdown).toContain('All good.');
    await vi.waitFor(async () => {
      const list: { sessions: { id: string; lastOutcome: string }[] } = await (
        await exports.default.fetch('http://cyrus.test/api/sessions')
      ).json();
      expect(list.sessions.find((row) => row.id === id)).toMatchObject({ lastOutcome: 'completed', turn: 1 });
    });
  });
});

describe('an effect', () => {
  it('that fails is tried again with the same id, until it succeeds', async () => {
    let failures = 2;
    outside.interfere = (url, body) =>
      url.includes('linear.app') && body.includes('agentActivityCreate') && failures-- > 0
        ? new Response('oops', { status: 502 })
        : null;
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(session(thread));
      expect(outside.said).toHaveLength(1);
    }, 10_000);
    expect(outside.linked).toHaveLength(1);
  });

  it('that Linear carried out before its answer was lost is not carried out twice', async () => {
    let lost = 1;
    const answer = outside;
    const thread = newThread();
    outside.interfere = (url, body) => {
      if (!url.includes('linear.app') || !body.includes('agentActivityCreate') || lost-- <= 0) return null;
      answer.said.push(JSON.parse(body).variables.a0);
      throw new TypeError('connection reset');
    };
    await send(created(thread));
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(session(thread));
      expect(outside.linked).toHaveLength(1);
    }, 10_000);
    expect(new Set(outside.saidIds()).size).toBe(1);
    expect((await journal(thread)).map((entry) => entry.kind)).not.toContain('effect-failed');
  });

  it('that is refused for good is given up at once, and the page says so', async () => {
    outside.interfere = (url, body) =>
      url.includes('linear.app') && body.includes('agentActivityCreate')
        ? Response.json(
            { errors: [{ message: 'Entity not found: AgentSession', extensions: { type: 'invalid input' } }] },
            { status: 400 },
          )
        : null;
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(async () => {
      const failed = (await journal(thread)).filter((entry) => entry.kind === 'effect-failed');
      expect(failed).toContainEqual(expect.objectContaining({ effect: 'Posting a thought to Linear', attempts: 1 }));
    });
    expect((await page(thread))?.session.failedEffects).toBeGreaterThan(0);
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  });

  it('that a crash interrupted is carried out by the alarm of the next life', async () => {
    outside.interfere = (url) => {
      if (url.includes('/sessions/')) throw new TypeError('connection refused');
      return null;
    };
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.linked).toHaveLength(1));
    await evictDurableObject(session(thread));
    outside.interfere = () => null;
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(session(thread));
      expect(outside.commands).toHaveLength(1);
    }, 10_000);
  });

  it('of a sandbox that cannot be configured ends the turn with a message that says what to do', async () => {
    await env.DB.exec('DELETE FROM repositories');
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => {
      const error = outside.said.find((said) => said.content.type === 'error');
      expect(error?.content.body).toContain('no repository is configured');
      expect(error?.content.body).toContain('Ask a Cyrus admin to add one');
    });
  });
});

describe('a viewer', () => {
  it('is shown the session, all that was said, and then what is said', async () => {
    const { thread, reporter } = await started();
    await reporter.report(init, text('Before.'));
    const { frames } = await watch(thread);
    await reporter.report(text('After.'));
    await vi.waitFor(() => expect(JSON.stringify(frames)).toContain('After.'));
    expect(frames[0]).toMatchObject({ t: 'hello', head: 4, session: { phase: 'working', workspaceName: 'Acme' } });
    for (const frame of frames) viewerFrameSchema.parse(frame);
    expect(fold(frames).entries).toEqual(await journal(thread));
  });

  it('is sent streamed text once: as deltas, then a seal that does not repeat it', async () => {
    const { thread, reporter } = await started();
    await reporter.report(init);
    const { frames } = await watch(thread);
    await reporter.report(...blockStart, delta('Streamed '), delta('text.'));
    await reporter.report(blockEnd('Streamed text.'));
    await vi.waitFor(() => expect(frames.map((frame) => frame.t)).toContain('seal'));
    expect(JSON.stringify(frames).split('Streamed text.')).toHaveLength(2);
    expect(fold(frames).entries).toEqual(await journal(thread));
  });

  it('that comes in the middle of a block gets what was streamed of it', async () => {
    const { thread, reporter } = await started();
    await reporter.report(init, ...blockStart, delta('Half of'));
    const { frames } = await watch(thread);
    await reporter.report(delta(' it.'), blockEnd('Half of it.'));
    await vi.waitFor(() => expect(fold(frames).entries.at(-1)).toMatchObject({ kind: 'text', text: 'Half of it.' }));
  });

  it('gets the finished block whole if the object lost the beginning', async () => {
    const { thread, reporter } = await started();
    await reporter.report(init, ...blockStart, delta('Half of'));
    const { frames } = await watch(thread);
    await evictDurableObject(session(thread), { webSockets: 'hibernate' });
    await reporter.report(delta(' it.'), blockEnd('Half of it.'));
    await vi.waitFor(() => expect(fold(frames).entries).toHaveLength(4));
    expect(fold(frames).entries).toEqual(await journal(thread));
  });

  it('keeps its socket while the object hibernates', async () => {
    const { thread, reporter } = await started();
    const { frames } = await watch(thread);
    await evictDurableObject(session(thread), { webSockets: 'hibernate' });
    await reporter.report(init);
    await vi.waitFor(() => expect(fold(frames).entries.at(-1)?.kind).toBe('claude-started'));
  });

  const most = histories(100);
  it(`cut off at ${most} random moments misses nothing and sees nothing twice`, async () => {
    const { thread, reporter } = await started();
    const random = new Random(7);
    let viewer = await watch(thread);
    let timeline = emptyTimeline;
    const catchUp = (from: Viewer) => {
      for (const frame of from.frames.splice(0)) {
        const applied = applyFrame(timeline, frame);
        expect(applied.ok).toBe(true);
        if (applied.ok) timeline = applied.timeline;
      }
    };
    await reporter.report(init);
    let cuts = 0;
    for (let message = 0; cuts < most; message++) {
      const words = Array.from({ length: 1 + random.below(5) }, (_, i) => `word ${message}.${i} `);
      const id = `msg-${message}`;
      const named = (body: ReturnType<typeof line>) => JSON.parse(JSON.stringify(body).replaceAll('msg-1', id));
      const bodies = [
        ...blockStart.map(named),
        ...words.map((word) => named(delta(word))),
        named(blockEnd(words.join(''))),
      ];
      while (bodies.length > 0) {
        await reporter.report(...bodies.splice(0, 1 + random.below(3)));
        if (!random.chance(0.3)) continue;
        cuts++;
        // Whatever has arrived by now is what the viewer has; the rest of this connection is lost.
        if (random.chance(0.5)) await new Promise((resolve) => setTimeout(resolve, random.below(3)));
        catchUp(viewer);
        viewer.socket.close();
        if (random.chance(0.1)) await evictDurableObject(session(thread), { webSockets: 'close' });
        viewer = await watch(thread, timeline.lastSeq);
      }
    }
    const whole = await journal(thread);
    await vi.waitFor(() => {
      catchUp(viewer);
      expect(timeline.entries).toHaveLength(whole.length);
    });
    expect(timeline.entries).toEqual(whole);
  });

  it('of a session that does not exist is told so, by the page and by the socket', async () => {
    const unknown = env.ISSUE_SESSION.idFromName('nobody').toString();
    expect((await exports.default.fetch(`http://cyrus.test/api/sessions/${unknown}`)).status).toBe(404);
    expect((await exports.default.fetch('http://cyrus.test/api/sessions/nonsense')).status).toBe(404);
    const response = await exports.default.fetch(`http://cyrus.test/api/sessions/${unknown}/live`, {
      headers: { upgrade: 'websocket' },
    });
    const closed = new Promise<number>((resolve) => {
      response.webSocket?.addEventListener('close', (event) => resolve(event.code));
    });
    response.webSocket?.accept();
    expect(await closed).toBe(4404);
  });
});

describe('the live page', () => {
  it('may prompt and stop; a request that is repeated is taken once', async () => {
    const { thread } = await started();
    const url = `http://cyrus.test/api/sessions/${session(thread).id.toString()}`;
    const id = crypto.randomUUID();
    const ask = (path: string, body: object) =>
      exports.default.fetch(`${url}/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: 'http://cyrus.test' },
        body: JSON.stringify(body),
      });
    expect((await ask('prompts', { id, text: 'And a test.' })).status).toBe(202);
    expect(await (await ask('prompts', { id, text: 'And a test.' })).json()).toEqual({ outcome: 'duplicate' });
    expect((await ask('prompts', { id: 'x', text: '' })).status).toBe(400);
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    expect((await ask('stop', { id: crypto.randomUUID() })).status).toBe(202);
    await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('stop'));
  });
});

describe('several agent sessions of one issue', () => {
  it('share one object, one branch and one sandbox', async () => {
    const { thread } = await started();
    const second = { issueId: thread.issueId, agentSessionId: crypto.randomUUID() };
    await send(created(second));
    await send(prompted(second, 'And this.'));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(3));
    expect(new Set(outside.starts.map((start) => start.sessionId)).size).toBe(1);
    await runInDurableObject(session(thread), (_instance, state) => {
      expect(state.storage.sql.exec('SELECT count(*) AS n FROM state').one()).toEqual({ n: 1 });
    });
  });
});

/** What a page makes of these frames. */
function fold(frames: Viewer['frames']): Timeline {
  let timeline = emptyTimeline;
  for (const frame of frames) {
    const applied = applyFrame(timeline, frame);
    if (!applied.ok) throw new Error(`a frame that does not fit: ${JSON.stringify(frame)}`);
    timeline = applied.timeline;
  }
  return timeline;
}
