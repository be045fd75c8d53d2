/** What a push learns of locks in Git LFS: many git hosts have none, and that stops no push (container/lfs/lfs.ts takes this error for "no locks"). */
import { expect, it } from 'vitest';
import type { GitRemote } from '../../container/git/git.ts';
import { LfsError, lockedByOthers } from '../../container/lfs/transfer.ts';
import { serve } from './gateway/web-server.ts';

/** Asks a gateway that gives this answer. */
async function ask(answer: () => Response): Promise<Map<string, string> | Error> {
  const server = await serve(async () => answer());
  try {
    const remote = { url: server.url, token: 'token' } as unknown as GitRemote;
    return await lockedByOthers({ remote, signal: new AbortController().signal }).catch((error: Error) => error);
  } finally {
    await server.close();
  }
}

it('names the files that others have locked, with who did as far as that is known', async () => {
  const theirs = [{ path: 'a.bin', owner: { name: 'Ada' } }, { path: 'b.bin' }, { path: 'c.bin', owner: null }];
  expect(await ask(() => Response.json({ ours: [], theirs }))).toEqual(
    new Map([
      ['a.bin', 'Ada'],
      ['b.bin', 'somebody'],
      ['c.bin', 'somebody'],
    ]),
  );
});

it.each([
  ['knows no locks', () => new Response(null, { status: 404 })],
  ['is behind a gateway of before', () => Response.json({ message: 'locks are not supported' }, { status: 501 })],
  ['forbids it', () => new Response(null, { status: 403 })],
  ['fails', () => new Response('<html>', { status: 502 })],
  ['answers with a page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
  ['answers something else', () => Response.json({ locks: [] })],
  ['leads elsewhere', () => new Response(null, { status: 302, headers: { location: 'http://localhost/' } })],
])('is not known if the host %s, by an error that stops no push', async (_what, answer) => {
  expect(await ask(answer)).toBeInstanceOf(LfsError);
});
