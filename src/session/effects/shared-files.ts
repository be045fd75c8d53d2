/**
 * Files that Claude shared, shown in Linear: links to `share/<name>` in what is posted become addresses of files uploaded
 * to Linear. A file is uploaded once for a session; where Linear does not take it, the words say where it is to be seen.
 */
import { messageOf } from '../../lib/error.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { prepareUpload } from '../../linear/api/files.ts';
import { sendThrough } from '../../linear/api/send.ts';
import { log } from '../../observability/log.ts';
import { replaceSharedLinks, type SharedFile, sharedNames } from '../../protocol/files.ts';
import { getSharedFile } from '../../store/shared-files.ts';
import type { Message } from '../lifecycle/model/messages.ts';
import type { Surroundings } from './effect-context.ts';

/** A file that Linear's storage does not take is tried this often. */
const MAX_TRIES = 4;
const PUT_TIMEOUT_MS = 30_000;
/** Linear wants this beside the headers it gives (docs: linear.app/developers/how-to-upload-a-file-to-linear). */
const CACHE_CONTROL = 'public, max-age=31536000';

/**
 * An activity as it is posted: with Linear's addresses in the place of links to shared files.
 * @throws LinearError where a file may be taken later: then nothing is to be posted yet
 */
export async function withAssets(activity: Message, surroundings: Surroundings): Promise<Message> {
  const { content } = activity;
  if (content.type === 'action') return activity;
  const names = sharedNames(content.body);
  if (names.length === 0) return activity;
  const { origin, id } = surroundings.state;
  const assets = new Map<string, string | null>();
  for (const name of names) {
    const file = activity.files?.find((candidate) => candidate.name === name);
    if (file) assets.set(name, await assetOf(file, surroundings));
  }
  const body = replaceSharedLinks(content.body, ({ name, words, isImage }) => {
    const label = words.trim() === '' ? name : words;
    const asset = assets.get(name);
    if (typeof asset === 'string') return `${isImage ? '!' : ''}[${label}](${asset})`;
    const called = label === name ? name : `${label} (${name})`;
    return asset === null ? `${called} ([on the live page](${origin}/sessions/${id}))` : called;
  });
  return { ...activity, content: { ...content, body } };
}

/** @returns the address; null if Linear will not take the file */
async function assetOf(file: SharedFile, surroundings: Surroundings): Promise<string | null> {
  const { assets, state } = surroundings;
  const known = assets.get(file.hash);
  if (known && 'url' in known) return known.url;
  const tries = known?.tries ?? 0;
  if (tries >= MAX_TRIES) return null;
  const problem = await upload(file, surroundings);
  if (typeof problem === 'object') {
    assets.put(file.hash, problem);
    return problem.url;
  }
  log('session.asset.failed', { session: state.id, file: file.name, tries: tries + 1, reason: problem });
  assets.put(file.hash, { tries: tries + 1 });
  if (tries + 1 >= MAX_TRIES) return null;
  throw new LinearError('unreachable', `${file.name} could not be uploaded to Linear: ${problem}`);
}

/**
 * @returns where Linear shows the file, or what went wrong on the way
 * @throws LinearError where Linear itself cannot be asked now: that is no fault of the file
 */
async function upload(file: SharedFile, { env, state }: Surroundings): Promise<{ url: string } | string> {
  const stored = await getSharedFile(env.LOGS, state.id, file.hash);
  if (!stored) return 'it is not stored here';
  try {
    const about = { contentType: stored.type, filename: file.name, size: stored.size };
    const place = await prepareUpload(sendThrough(env, state.workspaceId), about);
    const status = await withTimeout(PUT_TIMEOUT_MS, async (signal) => {
      const { readable, writable } = new FixedLengthStream(stored.size);
      const headers = new Headers({ 'content-type': stored.type, 'cache-control': CACHE_CONTROL });
      for (const { key, value } of place.headers) headers.set(key, value);
      const [answered] = await Promise.all([
        fetch(place.uploadUrl, { method: 'PUT', headers, body: readable, redirect: 'manual', signal }),
        stored.body.pipeTo(writable),
      ]);
      await answered.body?.cancel();
      return answered.status;
    });
    return status >= 200 && status < 300 ? { url: place.assetUrl } : `Linear's storage answered HTTP ${status}`;
  } catch (error) {
    if (error instanceof LinearError && error.kind !== 'refused') throw error;
    await stored.body.cancel().catch(() => {});
    return messageOf(error);
  }
}
