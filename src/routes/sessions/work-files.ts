/** What a session has made, as files: the newest patch, and the log of its turns. For routes that were given the session. */
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { ApiError } from '../../protocol/api.ts';
import { getPatch, getTurnMarkdown, isCommitId } from '../../store/logs.ts';
import { NO_SUCH_SESSION, type PeopleContext } from '../middleware/needs.ts';

/** The newest patch of the session `:id` against its base branch; 404 while nothing has been changed. */
export async function newestPatch(c: PeopleContext): Promise<Response> {
  const id = c.req.param('id') ?? '';
  const head = await c.var.session.newestHead();
  // What a sandbox said is no commit has no patch.
  const patch = head && isCommitId(head) ? await getPatch(c.env.LOGS, id, head) : null;
  if (!patch) {
    // Who may do everything was let in without a look at the session.
    const isThere = (await c.var.session.turns()) !== null;
    const noPatch: ApiError = { error: 'no_patch', message: 'Nothing has been changed yet.' };
    return c.json(isThere ? noPatch : NO_SUCH_SESSION, 404);
  }
  return new Response(patch.body, {
    headers: {
      'content-type': 'text/x-patch; charset=utf-8',
      'content-length': String(patch.size),
      'content-disposition': `attachment; filename="${id.slice(0, 12)}.patch"`,
    },
  });
}

/** The log of the turns of the session `:id` that have ended, as Markdown. */
export async function turnLogs(c: PeopleContext): Promise<Response> {
  const id = c.req.param('id') ?? '';
  const turns = await c.var.session.turns();
  if (turns === null) return c.json(NO_SUCH_SESSION, 404);
  const { readable, writable } = new IdentityTransformStream();
  c.executionCtx.waitUntil(writeLogs(c.env.LOGS, id, turns, writable));
  return new Response(readable, { headers: { 'content-type': 'text/markdown; charset=utf-8' } });
}

/** The logs of the turns, one after the other, as fast as they are read. Never rejects: a reader may leave. */
async function writeLogs(bucket: R2Bucket, id: string, turns: number, to: WritableStream<Uint8Array>): Promise<void> {
  const write = async (text: string) => {
    const writer = to.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  };
  try {
    let isEmpty = true;
    for (let turn = 1; turn <= turns; turn += 1) {
      const markdown = await getTurnMarkdown(bucket, id, turn);
      if (!markdown) continue;
      if (!isEmpty) await write('\n\n');
      isEmpty = false;
      await markdown.pipeTo(to, { preventClose: true });
    }
    if (isEmpty) await write('No turn has ended yet.\n');
    await to.close();
  } catch (error) {
    log('session.log_download.aborted', { session: id, error: asError(error) });
    await to.abort(error).catch(() => {});
  }
}
