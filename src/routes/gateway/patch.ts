/** `PUT /patch/:head` of the gateway: what a session's work changes, for people to look at. */
import type { Config } from '../../config/config.ts';
import { guardOf } from '../../gateway/secrets/guarded-secrets.ts';
import { SecretStream, type Wanted } from '../../gateway/secrets/secret-search.ts';
import { type Claims, guardedBy } from '../../gateway/token.ts';
import { deletePatch, hasPatch, isCommitId, MAX_PATCH_BYTES, putPatch } from '../../store/logs.ts';
import { refuseBytes, sizedBody } from './bounded-body.ts';
import { raiseAlarm } from './egress.ts';
import { refuse } from './problem.ts';

/** Who sends it. */
interface PatchSender {
  env: Env;
  config: Config;
  claims: Claims;
}

/**
 * Stores the patch of the session's present head; what people were shown of earlier ones stays as it is.
 * @returns 201 with `bytes`, or a refusal that says what is wrong
 */
export async function takePatch(
  request: Request,
  head: string,
  { env, config, claims }: PatchSender,
): Promise<Response> {
  if (!isCommitId(head)) return refuse(400, 'malformed', 'a patch is named by a full commit id');
  const sized = sizedBody(request, 'a patch', MAX_PATCH_BYTES);
  if (sized instanceof Response) return sized;
  const { body, bytes } = sized;
  const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(claims.s));
  if (!(await session.isPresentHead(head)) && (await hasPatch(env.LOGS, claims.s, head))) {
    const words = `the patch of ${head.slice(0, 10)} was kept when that was the session's head, and stays as it is`;
    return refuse(409, 'not_present', words);
  }
  const over = await refuseBytes(env, claims.s, bytes);
  if (over) return over;
  const replaced = await session.notePatch(head);
  if (replaced !== null) await deletePatch(env.LOGS, claims.s, replaced);
  // Of a large push, or one that builds on what the host has, not all can be read before; the patch says what is in it.
  const { body: watched, found } = watch(body, new SecretStream(await guardOf(env, config, guardedBy(claims))));
  await putPatch(env.LOGS, claims.s, head, watched, bytes);
  const secret = found();
  // Before the sandbox says that the work is saved: nothing is to follow from it.
  if (secret) await raiseAlarm(env, claims.s, { secret, commit: head });
  if (secret && secret.kind !== 'decoy') {
    await deletePatch(env.LOGS, claims.s, head);
    return refuse(403, 'credential', 'the patch contains a credential, so it is not kept, and the session is stopped');
  }
  return Response.json({ bytes }, { status: 201 });
}

/**
 * The decoy may be in what people look at, for it shows where it is. What opens something is not stored: nothing that comes with it
 * or after it is.
 */
function watch(
  body: ReadableStream<Uint8Array>,
  search: SecretStream,
): { body: ReadableStream<Uint8Array>; found: () => Wanted | null } {
  let secret: Wanted | null = null;
  const watched = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const met = search.next(chunk);
        if (secret === null || secret.kind === 'decoy') secret = met ?? secret;
        controller.enqueue(secret === null || secret.kind === 'decoy' ? chunk : new Uint8Array(chunk.byteLength));
      },
    }),
  );
  return { body: watched, found: () => secret };
}
