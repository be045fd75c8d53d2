/**
 * Where the bucket keeps what belongs to a session: by kind first, so that a lifecycle rule of the bucket can be about one kind. What
 * earlier versions stored, by session first, is read, listed and deleted as well.
 *
 * `logs/<id>/…`, `patches/<id>/…`, `checkpoints/<id>/…`, `shared/<id>/…`; before `sessions/<id>/…`
 */

/** A key was asked for with something that is no session id, turn or commit. */
export class LogKeyError extends Error {
  override readonly name = 'LogKeyError';
}

/** Each kind with the beginning of its names under `sessions/<id>/`, where earlier versions stored it. */
const KINDS = { logs: 'turn-', patches: 'patch/', checkpoints: 'checkpoint/', shared: 'shared/' } as const;
export type ObjectKind = keyof typeof KINDS;
export const OBJECT_KINDS = Object.keys(KINDS) as ObjectKind[];

/** R2 deletes at most this many objects in one call. */
export const MAX_DELETED_TOGETHER = 1_000;

/** A key, and the one that an earlier version stored the same under. */
export interface ObjectPlace {
  key: string;
  before: string;
}

/** @param name after the session's id. @throws LogKeyError */
export function placeOf(kind: ObjectKind, sessionId: string, name: string): ObjectPlace {
  const [now, before] = prefixesOf(kind, sessionId);
  return { key: `${now}${name}`, before: `${before}${name}` };
}

/** Beginnings of the keys of a kind, the present one first; of logs, the one before includes the beginning of their names. */
function prefixesOf(kind: ObjectKind, sessionId: string): readonly [now: string, before: string] {
  if (!/^[0-9a-f]{64}$/.test(sessionId)) throw new LogKeyError('a session id is 64 hex digits');
  return [`${kind}/${sessionId}/`, `sessions/${sessionId}/${KINDS[kind]}`];
}

/** The object, wherever it is; null if it is not there. @throws R2's errors as they are */
export async function getObject(bucket: R2Bucket, { key, before }: ObjectPlace): Promise<R2ObjectBody | null> {
  return (await bucket.get(key)) ?? (await bucket.get(before));
}

/** Whether it is there. @throws R2's errors as they are */
export async function hasObject(bucket: R2Bucket, { key, before }: ObjectPlace): Promise<boolean> {
  return (await bucket.head(key)) !== null || (await bucket.head(before)) !== null;
}

/** Removes it; one that is not there is no error. @throws R2's errors as they are */
export async function deleteObject(bucket: R2Bucket, { key, before }: ObjectPlace): Promise<void> {
  await bucket.delete([key, before]);
}

/** Everything of a kind, page by page. @throws LogKeyError; R2's errors as they are */
export async function* listObjects(
  bucket: R2Bucket,
  kind: ObjectKind,
  sessionId: string,
): AsyncGenerator<R2Object[], void, undefined> {
  for (const prefix of prefixesOf(kind, sessionId)) yield* listPrefix(bucket, prefix);
}

/** Everything under a prefix, page by page. @throws R2's errors as they are */
export async function* listPrefix(bucket: R2Bucket, prefix: string): AsyncGenerator<R2Object[], void, undefined> {
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await bucket.list({ prefix, ...(cursor !== undefined && { cursor }) });
    yield page.objects;
    more = page.truncated;
    cursor = page.truncated ? page.cursor : undefined;
  }
}

/** Removes everything of a kind. @returns how many objects @throws LogKeyError; R2's errors as they are */
export async function deleteKind(bucket: R2Bucket, kind: ObjectKind, sessionId: string): Promise<number> {
  let count = 0;
  for (const prefix of prefixesOf(kind, sessionId)) count += await deletePrefix(bucket, prefix);
  return count;
}

/** Removes everything of a session. @returns how many objects @throws LogKeyError; R2's errors as they are */
export async function deleteSessionObjects(bucket: R2Bucket, sessionId: string): Promise<number> {
  let count = 0;
  for (const kind of OBJECT_KINDS) count += await deletePrefix(bucket, prefixesOf(kind, sessionId)[0]);
  return count + (await deletePrefix(bucket, `sessions/${sessionId}/`));
}

/** Removes everything under a prefix. @returns how many objects @throws R2's errors as they are */
export async function deletePrefix(bucket: R2Bucket, prefix: string): Promise<number> {
  let count = 0;
  for (;;) {
    // From the beginning each time: what a page before had is gone.
    const { objects, truncated } = await bucket.list({ prefix, limit: MAX_DELETED_TOGETHER });
    if (objects.length > 0) await bucket.delete(objects.map(({ key }) => key));
    count += objects.length;
    if (!truncated) return count;
  }
}
