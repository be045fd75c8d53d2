/** Files that Claude shares, on their way from the sandbox to the page and to Linear. */
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { mintToken } from '../../src/gateway/token.ts';
import { sha256 } from '../../src/lib/hex.ts';
import { MAX_SHARED_BYTES, type SharedFile } from '../../src/protocol/files.ts';
import { init, result, saved, text } from '../unit/support/session-play.ts';
import { created, newThread, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, Reporter, registerWorkspace, session } from './support/sessions.ts';

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
const bytesOf = (text: string) => new Uint8Array(new TextEncoder().encode(text));

let outside: Outside;
beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

interface Share {
  content: Uint8Array<ArrayBuffer>;
  name?: string;
  hash?: string;
  headers?: Record<string, string>;
}

/** Sends a file to the gateway, as the sandbox of a session does. */
async function share(id: string, { content, name = 'shot.png', hash, headers = {} }: Share): Promise<Response> {
  const claims = { s: id, w: 'org-1', r: 'acme/shop', b: 'cyrus/eng-7', g: 1 };
  const token = await mintToken({ encryptionKey: env.ENCRYPTION_KEY }, claims);
  return exports.default.fetch(`http://cyrus.test/gateway/shared/${hash ?? (await sha256(content))}?name=${name}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-length': String(content.length), ...headers },
    body: content,
  });
}

function read(id: string, hash: string, name = 'shot.png'): Promise<Response> {
  return exports.default.fetch(`http://cyrus.test/api/sessions/${id}/shared/${hash}?name=${name}`);
}

/** A session whose prompt has reached the sandbox. */
async function started(): Promise<{ thread: Thread; reporter: Reporter; id: string }> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  return { thread, reporter: new Reporter(thread), id: session(thread).id.toString() };
}

async function file(name: string, content: Uint8Array<ArrayBuffer>, type: string): Promise<SharedFile> {
  return { name, hash: await sha256(content), bytes: content.length, type };
}

/** Ends a turn with these words, having shared these files. */
async function end(reporter: Reporter, thread: Thread, words: string, shared: SharedFile[]): Promise<void> {
  await reporter.report(init, text(words), result(words, [thread.agentSessionId]), { ...saved(1), shared } as never);
}

async function response(thread: Thread): Promise<string> {
  return vi.waitFor(
    async () => {
      await runDurableObjectAlarm(session(thread));
      const answer = outside.said.find((said) => said.content.type === 'response');
      if (!answer?.content.body) throw new Error('no response yet');
      return answer.content.body;
    },
    { timeout: 20_000 },
  );
}

describe("a shared file at the gateway's door", () => {
  it('is stored for its session by its content, and the same again changes nothing', async () => {
    const { id } = await started();
    expect((await share(id, { content: PNG })).status).toBe(201);
    expect((await share(id, { content: PNG, name: 'other.png' })).status).toBe(201);
    const stored = await env.LOGS.list({ prefix: `shared/${id}/` });
    expect(stored.objects.map(({ key }) => key)).toEqual([`shared/${id}/${await sha256(PNG)}`]);
  });

  it('is refused when it is not what its name says, of no known type, empty, too large, or of unknown length', async () => {
    const { id } = await started();
    expect((await share(id, { content: PNG, hash: 'a'.repeat(64) })).status).toBe(400);
    expect((await share(id, { content: PNG, hash: '..%2F..%2Fpatch' })).status).toBe(400);
    expect((await share(id, { content: new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0]) })).status).toBe(415);
    expect((await share(id, { content: new Uint8Array(0) })).status).toBe(400);
    const tooLarge = new Uint8Array(MAX_SHARED_BYTES + 1).fill(120);
    expect((await share(id, { content: tooLarge })).status).toBe(413);
    expect((await env.LOGS.list({ prefix: `shared/${id}/` })).objects).toEqual([]);
  });
});

describe('a shared file on the page', () => {
  it('is shown in place if it is an image, and never interpreted as anything else', async () => {
    const { id } = await started();
    await share(id, { content: PNG });
    const answer = await read(id, await sha256(PNG));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect(answer.headers.get('content-disposition')).toBe('inline; filename="shot.png"');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-security-policy')).toContain('sandbox');
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(PNG);
  });

  it.each([
    ['page.html', '<!doctype html><script>alert(1)</script>', 'text/plain; charset=utf-8'],
    [
      'logo.svg',
      '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
      'text/plain; charset=utf-8',
    ],
    ['shot.png', '<svg onload="alert(1)"/>', 'text/plain; charset=utf-8'],
    ['paper.pdf', '%PDF-1.7 …', 'application/octet-stream'],
  ])('is downloaded if a browser could run it: %s', async (name, content, type) => {
    const { id } = await started();
    const bytes = bytesOf(content);
    await share(id, { content: bytes, name });
    const answer = await read(id, await sha256(bytes), name);
    expect(answer.headers.get('content-type')).toBe(type);
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${name}"`);
  });

  it('is named by nothing that could break out of a header, and found only in its own session', async () => {
    const { id } = await started();
    await share(id, { content: PNG });
    const hash = await sha256(PNG);
    const answer = await read(id, hash, encodeURIComponent('a";evil=1\r\nx: y'));
    expect(answer.headers.get('content-disposition')).toBe('inline; filename="file"');
    for (const [other, name] of [
      ['0'.repeat(64), hash],
      ['..', hash],
      [id, 'b'.repeat(64)],
      [id, '..%2fpatch'],
    ] as const) {
      expect((await read(other, name)).status).toBe(404);
    }
  });
});

describe('what Claude says about a shared file', () => {
  it('shows the file in Linear, uploaded once with the headers that Linear wants', async () => {
    const { thread, reporter, id } = await started();
    await share(id, { content: PNG });
    const words = bytesOf('one\n');
    await share(id, { content: words, name: 'words.txt' });
    const shared = [await file('shot.png', PNG, 'image/png'), await file('words.txt', words, 'text/plain')];
    await end(
      reporter,
      thread,
      'Done.\n\n![The shot](share/shot.png) and [words](share/words.txt), again ![](./share/shot.png).',
      shared,
    );
    const body = await response(thread);
    expect(body).toContain(
      `![The shot](${outside.assetUrl(0)}) and [words](${outside.assetUrl(1)}), again ![shot.png](${outside.assetUrl(0)}).`,
    );
    expect(outside.toUpload).toEqual([
      { contentType: 'image/png', filename: 'shot.png', size: PNG.length },
      { contentType: 'text/plain', filename: 'words.txt', size: 4 },
    ]);
    const [first] = outside.uploaded;
    expect(first?.bytes).toEqual(PNG);
    expect(first?.headers.get('content-type')).toBe('image/png');
    expect(first?.headers.get('cache-control')).toBe('public, max-age=31536000');
    expect(first?.headers.get('x-goog-content-length-range')).toBe(String(PNG.length));
    expect(first?.headers.get('authorization')).toBeNull();
    const ended = (await journal(thread)).find((entry) => entry.kind === 'turn-ended');
    expect(ended).toMatchObject({ text: expect.stringContaining('(share/shot.png)') });
    const saves = (await journal(thread)).find((entry) => entry.kind === 'saved');
    expect(saves).toMatchObject({ shared });
  });

  it('is not uploaded again when the answer has to be posted again, not even by another life of the object', async () => {
    const { thread, reporter, id } = await started();
    await share(id, { content: PNG });
    let lost = 2;
    outside.interfere = (url, body) => {
      if (!url.includes('api.linear.app') || !body.includes('"response"') || lost === 0) return null;
      lost -= 1;
      return new Response('oops', { status: 502 });
    };
    await end(reporter, thread, '![shot](share/shot.png)', [await file('shot.png', PNG, 'image/png')]);
    await vi.waitFor(() => expect(lost).toBeLessThan(2));
    await evictDurableObject(session(thread));
    expect(await response(thread)).toContain(`![shot](${outside.assetUrl(0)})`);
    expect(outside.uploaded).toHaveLength(1);
  });

  it('shows the file as it was then, though a later turn has changed it before Linear was back', async () => {
    const { thread, reporter, id } = await started();
    await share(id, { content: PNG });
    let isAway = true;
    outside.interfere = (url) =>
      isAway && url.includes('api.linear.app') ? new Response('away', { status: 502 }) : null;
    await end(reporter, thread, '![shot](share/shot.png)', [await file('shot.png', PNG, 'image/png')]);
    const later = new Uint8Array([...PNG, 4]);
    await share(id, { content: later });
    const shared = [await file('shot.png', later, 'image/png')];
    await reporter.report({ ...saved(1), shared } as never);
    isAway = false;
    expect(await response(thread)).toContain(`![shot](${outside.assetUrl(0)})`);
    expect(outside.uploaded.map(({ bytes }) => bytes)).toEqual([PNG]);
  });

  it("points to the live page if Linear's storage does not take the file", async () => {
    const { thread, reporter, id } = await started();
    await share(id, { content: PNG });
    outside.interfere = (url, _body, request) =>
      request.method === 'PUT' && url.includes('storage.linear.test') ? new Response('no', { status: 403 }) : null;
    await end(reporter, thread, 'See ![the shot](share/shot.png).', [await file('shot.png', PNG, 'image/png')]);
    expect(await response(thread)).toContain(
      `See the shot (shot.png) ([on the live page](http://cyrus.test/sessions/${id})).`,
    );
  });

  it('stays words if there is no such file, and an image of a foreign host becomes a link to it', async () => {
    const { thread, reporter } = await started();
    await end(reporter, thread, '![none](share/none.png) ![x](https://example.com/share/x.png) `src/share/y.ts`', []);
    const told = await response(thread);
    expect(told).toContain('none (none.png) ');
    expect(told).toContain('[x](https://example.com/share/x.png) `src/share/y.ts`');
    expect(told).not.toContain('![x]');
    expect(outside.toUpload).toEqual([]);
  });
});
