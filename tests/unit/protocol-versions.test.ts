import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventBatchAnswerSchema, eventBatchSchema } from '../../src/protocol/sandbox/batches.ts';
import { sandboxCommandSchema } from '../../src/protocol/sandbox/commands.ts';
import { sandboxStatusSchema, startSessionSchema } from '../../src/protocol/sandbox/start.ts';
import { PAGE_PROTOCOL, protocolMismatch, SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import { sendCommand, startSession } from '../../src/sandbox/http.ts';
import { SandboxError } from '../../src/sandbox/sandbox.ts';
import { decodeFrame } from '../../src/web/live/decode.ts';

const own = { name: 'this Worker', protocol: SANDBOX_PROTOCOL };

describe('two parts of Cyrus', () => {
  it('work together when their versions are one apart, in both directions', () => {
    for (const protocol of [SANDBOX_PROTOCOL - 1, SANDBOX_PROTOCOL, SANDBOX_PROTOCOL + 1]) {
      expect(protocolMismatch(own, { name: 'the server', protocol })).toBeNull();
      expect(protocolMismatch({ name: 'the server', protocol }, own)).toBeNull();
    }
  });

  it('name both versions when they are further apart', () => {
    const words = protocolMismatch(own, { name: 'the server', protocol: SANDBOX_PROTOCOL + 2 });
    expect(words).toContain(`this Worker speaks version ${SANDBOX_PROTOCOL}`);
    expect(words).toContain(`the server version ${SANDBOX_PROTOCOL + 2}`);
  });

  it('take a part that says no version for the first', () => {
    expect(protocolMismatch({ ...own, protocol: 2 }, { name: 'the server', protocol: undefined })).toBeNull();
    expect(protocolMismatch({ ...own, protocol: 3 }, { name: 'the server', protocol: undefined })).toContain(
      'version 1',
    );
  });
});

describe('the Worker', () => {
  const status = {
    sessionId: 's',
    generation: 1,
    bootId: '6a3f1c22-0000-4000-8000-000000000002',
    streamId: '6a3f1c22-0000-4000-8000-000000000001',
    lastSeq: 0,
    state: 'preparing',
  };
  const start = {} as Parameters<typeof startSession>[2];

  it('says its version with a start, and takes the status of a server that says none', async () => {
    let sent = '';
    const answer = await startSession(
      async (_path, init) => {
        sent = String(init.body);
        return Response.json(status);
      },
      's',
      start,
    );
    expect(JSON.parse(sent)).toEqual({ protocol: SANDBOX_PROTOCOL });
    expect(answer.state).toBe('preparing');
  });

  it('refuses a server that is too far away, in words that name both and say what to do', async () => {
    const far = async () => Response.json({ ...status, protocol: SANDBOX_PROTOCOL + 2 });
    const refused = await startSession(far, 's', start).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(SandboxError);
    expect(refused).toMatchObject({ retryable: false, hint: expect.stringContaining('same commit') });
    expect(String(refused)).toContain(`version ${SANDBOX_PROTOCOL + 2}`);
  });

  it('tells what to do when the server refuses its version', async () => {
    const refusing = async () => Response.json({ error: 'protocol', message: 'version 9' }, { status: 409 });
    const command = { type: 'stop', id: crypto.randomUUID(), turn: 1 } as const;
    const refused = await sendCommand(refusing, 's', command).catch((error: unknown) => error);
    expect(refused).toMatchObject({ retryable: false, hint: expect.stringContaining('same commit') });
  });

  it('takes a state that only a newer server has for work of some kind', () => {
    expect(sandboxStatusSchema.parse({ ...status, state: 'dreaming' }).state).toBe('working');
  });
});

it('a batch and its answer pass what the first version does not know', () => {
  const { bootId, streamId } = { bootId: crypto.randomUUID(), streamId: crypto.randomUUID() };
  expect(eventBatchSchema.parse({ generation: 1, bootId, streamId, events: [], mood: 'good' })).toBeDefined();
  expect(eventBatchAnswerSchema.parse({ stored: 3, watched: true, protocol: 3, more: 1 }).stored).toBe(3);
});

describe('a page', () => {
  it('passes over a frame of a kind that it does not know, but over nothing that is broken', () => {
    expect(decodeFrame(JSON.stringify({ t: 'confetti', colour: 'red' }))).toBe('unknown');
    expect(decodeFrame('no JSON')).toBeNull();
    expect(decodeFrame(JSON.stringify({ t: 'd', b: 1 }))).toBeNull();
    expect(PAGE_PROTOCOL).toBeGreaterThan(1);
  });
});

/** What Worker and sandbox server of the first version said to each other, recorded from a real run. */
describe('the first version of the protocol, as it was recorded', () => {
  const recorded = readFileSync(new URL('../fixtures/released-protocols/1/sandbox.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const start = recorded.find(({ to, method }) => to === 'sandbox' && method === 'PUT');
  const command = recorded.find(({ to, method }) => to === 'sandbox' && method === 'POST');
  const batch = recorded.find(({ to }) => to === 'worker');

  it("is taken by this version's server: a start and a command", () => {
    expect(startSessionSchema.parse(start.body)).toMatchObject({ generation: 1 });
    expect(start.body.protocol).toBeUndefined();
    expect(sandboxCommandSchema.parse(command.body)).toMatchObject({ type: 'prompt' });
  });

  it("is taken by this version's Worker: a status and a batch", () => {
    expect(sandboxStatusSchema.parse(JSON.parse(start.answer)).state).toBe('preparing');
    const parsed = eventBatchSchema.parse(batch.body);
    expect(parsed.events).toHaveLength(batch.body.events.length);
    expect(protocolMismatch(own, { name: 'the server', protocol: parsed.protocol })).toBeNull();
  });

  it("is answered by this version's server and Worker with all that it needs", () => {
    const status = { ...JSON.parse(start.answer), protocol: SANDBOX_PROTOCOL };
    expect(Object.keys(status)).toEqual(expect.arrayContaining(Object.keys(JSON.parse(start.answer))));
    expect(eventBatchAnswerSchema.parse(JSON.parse(batch.answer)).watched).toBeUndefined();
  });
});
