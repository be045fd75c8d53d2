/** Files that people attach to an issue, on their way from Linear into the sandbox. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { init, permission, question } from '../unit/support/session-play.ts';
import { created, newThread, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { Reporter, registerWorkspace, session } from './support/sessions.ts';

const HOST = 'https://uploads.linear.app';
const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, ...new Uint8Array(9_000).fill(7)]);
const MIB = 1024 * 1024;

let outside: Outside;
/** What Linear's file host answers, by address. */
let uploads: Map<string, (request: Request) => Response>;
/** Requests for files, of any host. */
let asked: { url: string; authorization: string | null }[];

beforeEach(async () => {
  outside = new Outside();
  uploads = new Map();
  asked = [];
  outside.interfere = (url, _body, request) => {
    if (request.method !== 'GET' || url.includes('/sessions/')) return null;
    asked.push({ url, authorization: request.headers.get('authorization') });
    return uploads.get(url)?.(request) ?? new Response('nothing there', { status: 404 });
  };
  await registerWorkspace();
});

/** Puts a file on Linear's host. @returns its address */
function upload(
  name: string,
  content: BodyInit = PNG,
  type = 'image/png',
  headers: Record<string, string> = {},
): string {
  const address = `${HOST}/workspace/${name}`;
  uploads.set(address, (request) =>
    request.headers.get('authorization') === 'Bearer lin_oauth_test'
      ? new Response(content, { headers: { 'content-type': type, ...headers } })
      : new Response('no', { status: 401 }),
  );
  return address;
}

/** Mentions Cyrus with this text. @returns what Claude was told */
async function ask(text: string): Promise<string> {
  const thread = newThread();
  await send(prompted(thread, text));
  await vi.waitFor(
    async () => {
      await runDurableObjectAlarm(session(thread));
      expect(outside.commands).toHaveLength(1);
    },
    { timeout: 15_000 },
  );
  const [command] = outside.commands;
  if (command?.type !== 'prompt') throw new Error('no prompt came');
  return command.text;
}

describe('a file that a prompt links', () => {
  it('is given to the sandbox before the prompt, byte for byte, and the prompt says where it is', async () => {
    const address = upload('1234');
    const text = await ask(`Look at ![the shot](${address}) please.`);
    const [[name, bytes] = []] = outside.files;
    expect(name).toMatch(/^[0-9a-f]{12}-the-shot\.png$/);
    expect(bytes).toEqual(PNG);
    expect(text).toContain(`- /side/${name} ← ${address} (image/png, 9 KiB)`);
    expect(asked).toEqual([{ url: address, authorization: 'Bearer lin_oauth_test' }]);
  });

  it('is found in the description and in what else Linear tells of the issue', async () => {
    const address = upload('log', 'one\ntwo\n', 'text/plain; charset=utf-8');
    const promptContext = `<issue identifier="ENG-7"><comment>see [server.log](${address})</comment></issue>`;
    await send(created(newThread(), { promptContext }));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    expect([...outside.files.keys()]).toEqual([expect.stringMatching(/-server\.log$/)]);
  });

  it('is fetched once, however often it is linked and the prompt is tried', async () => {
    const address = upload('1234');
    let refused = 1;
    const { interfere } = outside;
    outside.interfere = (url, body, request) =>
      url.endsWith('/commands') && refused-- > 0
        ? new Response('busy', { status: 503 })
        : interfere(url, body, request);
    const text = await ask(`![a](${address}) and again ![b](${address}) and ${address}`);
    expect(asked).toHaveLength(1);
    expect(outside.files.size).toBe(1);
    expect(text.split('← ')).toHaveLength(2);
  });

  it('is tried again if Linear fails for a moment', async () => {
    const address = upload('1234');
    const good = uploads.get(address);
    let failures = 2;
    uploads.set(address, (request) =>
      failures-- > 0 || !good ? new Response('oops', { status: 502 }) : good(request),
    );
    expect(await ask(`![a](${address})`)).toContain('← ');
    expect(asked).toHaveLength(3);
  });

  it('that Linear does not give after some tries is told of, and the prompt continues without it', async () => {
    const address = upload('1234');
    uploads.set(address, () => new Response('oops', { status: 502 }));
    const text = await ask(`![a](${address})`);
    expect(text).toContain(`- ${address}: Linear's file host answered HTTP 502.`);
    expect(outside.files.size).toBe(0);
  });

  it('is there for later prompts too: another sandbox is given it again, without a word', async () => {
    const address = upload('1234');
    const thread = newThread();
    await send(prompted(thread, `![a](${address})`));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const names = [...outside.files.keys()];
    await send(prompted(thread, 'Once more.'));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    expect(asked).toHaveLength(1);
    outside.files.clear();
    await send(prompted(thread, 'And again.'));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(3));
    expect([...outside.files.keys()]).toEqual(names);
    expect(JSON.stringify(outside.commands.slice(1))).not.toContain('Files linked');
  });

  it('with a signature in its address is fetched without the token', async () => {
    const address = `${HOST}/workspace/signed`;
    uploads.set(`${address}?signature=abc`, () => new Response(PNG));
    const text = await ask(`![a](${address}?signature=abc)`);
    expect(text).toContain(`← ${address} (image/png`);
    expect(text.slice(text.indexOf('Files linked'))).not.toContain('signature=');
    expect(asked).toEqual([{ url: `${address}?signature=abc`, authorization: null }]);
  });

  it('that is refused to the token is fetched by an address that Linear signs', async () => {
    const address = `${HOST}/workspace/picky`;
    uploads.set(address, () => new Response('no', { status: 403 }));
    uploads.set(`${address}?signature=fresh`, () => new Response(PNG));
    const { interfere } = outside;
    let expireIn: string | null = null;
    outside.interfere = (url, body, request) => {
      if (!body.includes('IssueTexts')) return interfere(url, body, request);
      expireIn = request.headers.get('public-file-urls-expire-in');
      const comments = { nodes: [{ body: `![a](${address}?signature=fresh)` }] };
      return Response.json({ data: { issue: { description: null, comments } } });
    };
    expect(await ask(`![a](${address})`)).toContain('← ');
    expect(expireIn).toBe('600');
    expect(asked.at(-1)).toEqual({ url: `${address}?signature=fresh`, authorization: null });
  });
});

describe('what is no file of Linear', () => {
  it.each([
    'https://uploads.linear.app.evil.com/a/b',
    'https://uploads.linear.app@evil.com/a/b',
    'https://evil.com/uploads.linear.app/a',
    'https://evil.com/?u=https://uploads.linear.app/a',
    'https://token@uploads.linear.app/a/b',
    'https://uploads.linear.app:8443/a/b',
    'http://uploads.linear.app/a/b',
    'https://uploads.linear.app./a/b',
    'https://uploads.linear.app',
    'https://uploads.linear.app/',
    'https://xn--uploads-linear.app/a',
    'https://uploads。linear.evil.app/a',
  ])('is left alone: %s', async (link) => {
    const text = await ask(`Look at ![this](${link}) and uploads.linear.app`);
    expect(text).not.toContain('Files linked');
    expect(asked).toEqual([]);
  });

  it('is not followed to where Linear sends on, with or without the token', async () => {
    const address = upload('moved');
    uploads.set(address, () => new Response(null, { status: 302, headers: { location: 'https://evil.com/steal' } }));
    const text = await ask(`![a](${address})`);
    expect(text).toContain('Linear redirects to another address, which Cyrus does not follow');
    expect(asked.map(({ url }) => url)).toEqual([address]);
  });
});

describe('a file that is not handed over', () => {
  it('is one that is too large by its own word: not a byte of it is read', async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(new Uint8Array(1024));
        },
      },
      { highWaterMark: 0 },
    );
    const address = `${HOST}/workspace/huge`;
    uploads.set(address, () => new Response(body, { headers: { 'content-length': String(1024 ** 3) } }));
    expect(await ask(`![a](${address})`)).toContain('it is larger than 20 MiB');
    expect(pulled).toBeLessThan(3);
    expect(outside.files.size).toBe(0);
  });

  it('is one that never ends: it is cut off, and nothing of it stays', async () => {
    const address = `${HOST}/workspace/endless`;
    let sent = 0;
    uploads.set(address, () => {
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          sent += MIB;
          controller.enqueue(new Uint8Array(MIB).fill(120));
        },
      });
      return new Response(body);
    });
    expect(await ask(`![a](${address})`)).toContain('it is larger than 20 MiB');
    expect(sent).toBeLessThan(24 * MIB);
    expect(outside.files.size).toBe(0);
  });

  it.each([
    [
      'a program',
      new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2, 3]),
      'application/octet-stream',
      'is not one of: images',
    ],
    [
      'a film',
      new Uint8Array([0, 0, 0, 24, ...new TextEncoder().encode('ftypmp42')]),
      'video/mp4',
      '(Linear says video/mp4)',
    ],
    ['a page that says it is an image', '<!doctype html><script>x</script>', 'image/png', 'but it holds text/html'],
    ['nothing', new Uint8Array(0), 'image/png', 'it is empty'],
  ] as const)('is one of a wrong type: %s', async (_what, content, type, why) => {
    const text = await ask(`![a](${upload('wrong', content, type)})`);
    expect(text).toContain(why);
    expect(outside.files.size).toBe(0);
  });

  it('is one beyond the twentieth, or beyond 50 MiB together', async () => {
    const links = Array.from({ length: 22 }, (_, index) => upload(`small-${index}`));
    const text = await ask(links.join('\n'));
    expect(outside.files.size).toBe(20);
    expect(text.match(/only the first 20 files/g)).toHaveLength(2);
  });

  it('shares the 50 MiB of a prompt with the others', async () => {
    const large = new Uint8Array(18 * MIB).fill(120);
    const links = ['one', 'two', 'three'].map((name) => upload(name, large, 'text/plain'));
    const text = await ask(links.join('\n'));
    expect(outside.files.size).toBe(2);
    expect(text).toContain('the files of a prompt may have 50 MiB together');
  });

  it('is one that the sandbox refuses for good', async () => {
    const { interfere } = outside;
    outside.interfere = (url, body, request) =>
      url.includes('/files/')
        ? Response.json({ error: 'full', message: 'The session holds 300 files already.' }, { status: 413 })
        : interfere(url, body, request);
    expect(await ask(`![a](${upload('1234')})`)).toContain('The session holds 300 files already.');
  });
});

describe('the name of a file', () => {
  it.each([
    ['../../../etc/passwd', 'passwd.png'],
    ['..\\..\\evil.exe', 'evil.exe.png'],
    ['.bashrc', 'bashrc.png'],
    ['-rf', 'rf.png'],
    ['Bildschirmfoto für Änderung.png', /^Bildschirmfoto-fu.*nderung\.png$/],
    ['截图', 'file.png'],
    ['a'.repeat(290), `${'a'.repeat(80)}.png`],
    ['shot.jpeg', 'shot.jpeg.png'],
  ])('is made safe: %s', async (words, expected) => {
    await ask(`![${words}](${upload('1234')})`);
    const [name = ''] = outside.files.keys();
    if (typeof expected === 'string') expect(name.slice(13)).toBe(expected);
    else expect(name.slice(13)).toMatch(expected);
  });

  it('does not make two files one', async () => {
    await ask(`![image.png](${upload('first')}) ![image.png](${upload('second')})`);
    expect(outside.files.size).toBe(2);
  });
});

describe('a file in an answer', () => {
  it('to a question of Claude’s, or in a no, is given to the sandbox, and the answer says where it is', async () => {
    const address = upload('1234');
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const reporter = new Reporter(thread);
    await reporter.report(init, question('q1'));
    await send(prompted(thread, `Like ![this](${address})`));
    await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('answer'), { timeout: 15_000 });
    const note = expect.stringMatching(/Like .*\/side\/[0-9a-f]{12}-this\.png ← /s);
    expect(outside.commands.at(-1)).toMatchObject({ input: { answers: { 'Which?': note } } });
    await reporter.report(permission('r1'));
    await send(prompted(thread, `No, see ![this](${address})`));
    await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('decide'), { timeout: 15_000 });
    const message = expect.stringMatching(/No, see .*\/side\/[0-9a-f]{12}-this\.png ← /s);
    expect(outside.commands.at(-1)).toMatchObject({ decision: { allowed: false, message } });
  });
});
