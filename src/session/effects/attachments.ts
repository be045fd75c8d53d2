/**
 * Files that a prompt links are got from Linear and given to the sandbox before the prompt is, and the prompt says where
 * they are. A file that cannot be had keeps nobody from working: the prompt says why. Bytes pass through, nothing is held.
 */

import { type FileNote, filesNote } from '../../claude/prompts.ts';
import { type BodyReader, bodyReader } from '../../lib/body-reader.ts';
import { messageOf } from '../../lib/error.ts';
import { sha256 } from '../../lib/hex.ts';
import { withoutBeginning, withoutEnding } from '../../lib/linear-time.ts';
import type { CallFailure } from '../../linear/api/call.ts';
import { type Download, download } from '../../linear/api/download.ts';
import { signedAddresses } from '../../linear/api/files.ts';
import { sendThrough } from '../../linear/api/send.ts';
import { findUploads, type Upload } from '../../linear/uploads.ts';
import { fileType, isTextType, KNOWN_TYPES, nameForType, TYPE_BYTES, typeOfName } from '../../protocol/file-type.ts';
import { type GivenFile, MAX_GIVEN_BYTES } from '../../protocol/files.ts';
import { type Sandbox, SandboxError } from '../../sandbox/sandbox.ts';
import type { Surroundings } from './effect-context.ts';

/** Most files of one prompt, and most bytes of all of them together. */
const MAX_FILES = 20;
const MAX_BYTES = 50 * 1024 * 1024;
const AT_ONCE = 3;
/** A file that Linear does not give right now is asked for this often. */
const TRIES = 3;
const PAUSE_MS = 500;
/** Longest time for one file, and for all of a prompt: Claude had better begin than wait. */
const FILE_MS = 45_000;
const PROMPT_MS = 90_000;
const MIB = 1024 * 1024;

/** A file could not be had: why, as the second half of a sentence. */
type Missing = { why: string; isPassing: boolean };

/**
 * Completes a prompt by the files it links, and sees to it that those of earlier prompts are there.
 * @returns the prompt, with a list of the files after it where it links any
 * @throws SandboxError where the sandbox may take them later
 */
export async function withAttachments(text: string, surroundings: Surroundings, sandbox: Sandbox): Promise<string> {
  const { uploadsUrl } = surroundings.config.linear;
  const uploads = findUploads(text, uploadsUrl);
  const isNew = ({ address }: Upload) => uploads.some((upload) => upload.address === address);
  const before = surroundings.promptsWith(new URL(uploadsUrl).host);
  const earlier = findUploads(before.join('\n\n'), uploadsUrl).filter((upload) => !isNew(upload));
  if (uploads.length + earlier.length === 0) return text;
  const delivery = new Delivery(surroundings, sandbox, await sandbox.files(surroundings.state.id));
  const given: FileNote[] = [];
  const missing: { address: string; why: string }[] = [];
  const outcomes = await eachAtMost(AT_ONCE, uploads.slice(0, MAX_FILES), (upload) => delivery.bring(upload));
  // The conversation may go on in another sandbox than the one that was given these.
  const again = earlier.slice(0, Math.max(0, MAX_FILES - uploads.length));
  await eachAtMost(AT_ONCE, again, (upload) => delivery.bring(upload));
  for (const [index, { address }] of uploads.entries()) {
    const outcome = outcomes[index];
    if (!outcome) missing.push({ address, why: `only the first ${MAX_FILES} files of a prompt are passed on` });
    else if ('why' in outcome) missing.push({ address, why: outcome.why });
    else given.push({ address, path: outcome.path, bytes: outcome.bytes, type: typeOfName(outcome.name) });
  }
  const note = filesNote(given, missing);
  return note === '' ? text : `${text}\n\n${note}`;
}

/** The files of one prompt on their way. */
class Delivery {
  readonly #surroundings: Surroundings;
  readonly #sandbox: Sandbox;
  /** What the sandbox has already, e.g. from a try before. */
  readonly #there: GivenFile[];
  readonly #deadline = Date.now() + PROMPT_MS;
  #bytes = 0;
  #signed: Promise<Map<string, string>> | null = null;

  constructor(surroundings: Surroundings, sandbox: Sandbox, there: GivenFile[]) {
    this.#surroundings = surroundings;
    this.#sandbox = sandbox;
    this.#there = there;
  }

  async bring(upload: Upload): Promise<GivenFile | Missing> {
    // What is uploaded to Linear never changes, so the address stands for the content.
    const key = (await sha256(upload.address)).slice(0, 12);
    const known = this.#there.find(({ name }) => name.startsWith(`${key}-`));
    if (known) return known;
    let outcome: GivenFile | Missing = { why: 'there was no time left to fetch it', isPassing: true };
    for (let attempt = 1; attempt <= TRIES && Date.now() < this.#deadline; attempt++) {
      if (attempt > 1) await new Promise((done) => setTimeout(done, PAUSE_MS * attempt));
      outcome = await this.#bringOnce(upload, key);
      if (!('why' in outcome) || !outcome.isPassing) return outcome;
    }
    return outcome;
  }

  async #bringOnce(upload: Upload, key: string): Promise<GivenFile | Missing> {
    const answer = await this.#ask(upload);
    if (!answer.ok) {
      return { why: answer.message, isPassing: answer.kind === 'unreachable' || answer.kind === 'rate-limited' };
    }
    if (answer.bytes !== null && answer.bytes > MAX_GIVEN_BYTES) {
      await answer.body.cancel();
      return TOO_LARGE;
    }
    const source = bodyReader(answer.body);
    let why: Missing | null = null;
    const timer = setTimeout(
      () => {
        why = { why: 'it took too long to download', isPassing: false };
        void source.cancel(why.why);
      },
      Math.max(1, Math.min(FILE_MS, this.#deadline - Date.now())),
    );
    try {
      const outcome = await this.#pass(source, upload, answer.type, key);
      return why ?? outcome;
    } finally {
      clearTimeout(timer);
    }
  }

  /** By the signature in the link; else with the token; else, where Linear takes no token for files, by a new signature. */
  async #ask({ address, signed }: Upload): Promise<Download | CallFailure> {
    const { env, config, state } = this.#surroundings;
    const { uploadsUrl } = config.linear;
    if (signed !== null) {
      const answer = await download(uploadsUrl, signed, null);
      if (answer.ok) return answer;
    }
    const answer = await this.#withToken(address);
    if (answer.ok || answer.kind !== 'unauthorized' || !state.issue) return answer;
    this.#signed ??= signedAddresses(sendThrough(env, state.workspaceId), state.issue.id, uploadsUrl);
    const fresh = await this.#signed.then(
      (addresses) => addresses.get(address),
      () => undefined,
    );
    return fresh === undefined ? answer : download(uploadsUrl, fresh, null);
  }

  async #withToken(address: string): Promise<Download | CallFailure> {
    const { env, state } = this.#surroundings;
    try {
      return await env.LINEAR_WORKSPACE.getByName(state.workspaceId).download(address);
    } catch (cause) {
      const why = messageOf(cause);
      return {
        ok: false,
        kind: 'unreachable',
        message: `the workspace's object did not answer (${why})`,
        retryAt: null,
      };
    }
  }

  /** Looks at the beginning, then lets the rest pass through into the sandbox. */
  async #pass(source: BodyReader, upload: Upload, declared: string | null, key: string): Promise<GivenFile | Missing> {
    let beginning: Uint8Array;
    try {
      beginning = await readBeginning(source);
    } catch (cause) {
      return brokenOff(cause);
    }
    const type = fileType(beginning, upload.name);
    const problem = beginning.length === 0 ? 'it is empty' : typeProblem(type, declared);
    if (type === null || problem !== null) {
      await source.cancel();
      return { why: problem ?? '', isPassing: false };
    }
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const put = this.#sandbox.putFile(this.#surroundings.state.id, fileName(key, upload.name, type), readable);
    // Where the sandbox takes no more of it, nothing more is read.
    put.catch((error: unknown) => writer.abort(error).catch(() => {}));
    const [passed, taken] = await Promise.allSettled([this.#pump(source, beginning, writer), put]);
    if (passed.status === 'fulfilled' && passed.value !== null) return passed.value;
    if (taken.status === 'fulfilled') return taken.value;
    if (taken.reason instanceof SandboxError && !taken.reason.retryable) {
      return { why: taken.reason.message, isPassing: false };
    }
    throw taken.reason;
  }

  /** @returns null when all of it went through, or the sandbox took no more; otherwise what is wrong with the source */
  async #pump(
    source: BodyReader,
    beginning: Uint8Array,
    writer: WritableStreamDefaultWriter<Uint8Array>,
  ): Promise<Missing | null> {
    let size = 0;
    let piece: Uint8Array | null = beginning;
    const giveUp = async (why: Missing) => {
      this.#bytes -= size;
      await Promise.allSettled([writer.abort(why.why), source.cancel(why.why)]);
      return why;
    };
    while (piece !== null) {
      size += piece.byteLength;
      this.#bytes += piece.byteLength;
      if (size > MAX_GIVEN_BYTES) return giveUp(TOO_LARGE);
      if (this.#bytes > MAX_BYTES) return giveUp(TOO_MUCH);
      try {
        await writer.write(piece);
      } catch {
        await source.cancel().catch(() => {});
        return null;
      }
      try {
        piece = await source.read(1);
      } catch (cause) {
        return giveUp(brokenOff(cause));
      }
    }
    await writer.close().catch(() => {});
    return null;
  }
}

const TOO_LARGE: Missing = { why: `it is larger than ${MAX_GIVEN_BYTES / MIB} MiB`, isPassing: false };
const TOO_MUCH: Missing = {
  why: `the files of a prompt may have ${MAX_BYTES / MIB} MiB together, and this one exceeds that`,
  isPassing: false,
};

function brokenOff(cause: unknown): Missing {
  return { why: `the transfer was cut off (${messageOf(cause)})`, isPassing: true };
}

async function readBeginning(source: BodyReader): Promise<Uint8Array> {
  let beginning = new Uint8Array(0);
  while (beginning.length < TYPE_BYTES) {
    const piece = await source.read(TYPE_BYTES - beginning.length);
    if (piece === null) break;
    const joined = new Uint8Array(beginning.length + piece.length);
    joined.set(beginning);
    joined.set(piece, beginning.length);
    beginning = joined;
  }
  return beginning;
}

/** An image that holds text, say, is an error page, or a trick. */
function typeProblem(type: string | null, declared: string | null): string | null {
  if (type === null) {
    const said =
      declared === null ? '' : ` (Linear says ${/^[\w.+-]+\/[\w.+-]+$/.test(declared) ? declared : 'something odd'})`;
    return `its content${said} is not one of: ${KNOWN_TYPES}`;
  }
  const isPromise = declared !== null && /^(image\/(?!svg)|application\/pdf$)/.test(declared);
  return isPromise && isTextType(type) ? `Linear says it is ${declared}, but it holds ${type}` : null;
}

/** A name that is safe, tells what people called it, and begins with what stands for its address. */
function fileName(key: string, name: string, type: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? '';
  const clean = last
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/\.{2,}/g, '.');
  const bare = withoutBeginning(withoutEnding(clean, '.-').slice(-80), '.-');
  return `${key}-${nameForType(bare || 'file', type)}`;
}

/** Works on some at a time. @returns what came of each, in their order */
async function eachAtMost<T, R>(atOnce: number, items: T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  const worker = async () => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
