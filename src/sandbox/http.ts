/** The sandbox server's HTTP interface, spoken the same way to a container and to an endpoint. */
import type * as z from 'zod';
import { messageOf } from '../lib/error.ts';
import { type GivenFile, givenFileSchema, givenFilesSchema } from '../protocol/files.ts';
import { refusalSchema } from '../protocol/sandbox/batches.ts';
import type { SandboxCommand } from '../protocol/sandbox/commands.ts';
import { type SandboxStatus, type StartSession, sandboxStatusSchema } from '../protocol/sandbox/start.ts';
import { protocolMismatch, SANDBOX_PROTOCOL } from '../protocol/version.ts';
import { SandboxError, SandboxLostError } from './sandbox.ts';

/** JSON as text, or a file's bytes: a stream that can be handed to another object, so one of bytes. */
export type SandboxBody = string | ReadableStream<Uint8Array>;

/** Sends a request to a sandbox server; `path` begins with a slash. */
export type SandboxFetch = (path: string, init: { method: string; body?: SandboxBody }) => Promise<Response>;

/** The media type of a body. */
export function bodyType(body: SandboxBody | undefined): string {
  return typeof body === 'object' ? 'application/octet-stream' : 'application/json';
}

/** How a sandbox server says that it has nothing of a session. */
const LOST = ['410 lost', '404 no-session'];

const SAME_COMMIT =
  'The sandbox server and this Worker have different versions; deploy both from the same commit, then comment to try again.';

/** `PUT /sessions/:id` @throws SandboxError, also when the server speaks a version of the protocol that is too far away */
export async function startSession(fetch: SandboxFetch, sessionId: string, body: StartSession): Promise<SandboxStatus> {
  const response = await ask(fetch, `/sessions/${sessionId}`, 'PUT', { ...body, protocol: SANDBOX_PROTOCOL });
  const parsed = sandboxStatusSchema.safeParse(await response.json().catch(() => null));
  if (parsed.success) {
    const mismatch = protocolMismatch(
      { name: 'this Worker', protocol: SANDBOX_PROTOCOL },
      { name: 'the sandbox server', protocol: parsed.data.protocol },
    );
    if (mismatch !== null) throw new SandboxError(mismatch, { retryable: false, hint: SAME_COMMIT });
    return parsed.data;
  }
  throw new SandboxError('the sandbox did not answer with a valid status', {
    retryable: false,
    hint: SAME_COMMIT,
  });
}

/** `GET /sessions/:id` @returns false: it does not answer, or has nothing of the session. Any other answer shows that it is there. */
export async function isKnown(fetch: SandboxFetch, sessionId: string): Promise<boolean> {
  let response: Response;
  try {
    response = await fetch(`/sessions/${sessionId}`, { method: 'GET' });
  } catch {
    // Refused, or no answer in time: that is the answer.
    return false;
  }
  if (response.ok) return true;
  const refusal = refusalSchema.safeParse(await response.json().catch(() => null));
  return !LOST.includes(`${response.status} ${refusal.success ? refusal.data.error : ''}`);
}

/** `POST /sessions/:id/commands` @throws SandboxError */
export async function sendCommand(fetch: SandboxFetch, sessionId: string, command: SandboxCommand): Promise<void> {
  const response = await ask(fetch, `/sessions/${sessionId}/commands`, 'POST', command);
  await response.body?.cancel();
}

/** `DELETE /sessions/:id?purge=true` @param generation those after it stay; a server of an earlier version does not ask @throws SandboxError */
export async function purgeSession(fetch: SandboxFetch, sessionId: string, generation: number): Promise<void> {
  try {
    const path = `/sessions/${sessionId}?purge=true&generation=${generation}`;
    const response = await send(fetch, path, { method: 'DELETE' });
    await response.body?.cancel();
  } catch (error) {
    if (!(error instanceof SandboxLostError)) throw error;
  }
}

/** `GET /sessions/:id/files` @throws SandboxError */
export async function listFiles(fetch: SandboxFetch, sessionId: string): Promise<GivenFile[]> {
  const response = await send(fetch, `/sessions/${sessionId}/files`, { method: 'GET' });
  return filesOf(givenFilesSchema, response).then(({ files }) => files);
}

/** `PUT /sessions/:id/files/:name` @throws SandboxError, which is also what a body that fails ends in */
export async function putFile(
  fetch: SandboxFetch,
  sessionId: string,
  name: string,
  body: ReadableStream<Uint8Array>,
): Promise<GivenFile> {
  const response = await send(fetch, `/sessions/${sessionId}/files/${name}`, { method: 'PUT', body });
  return filesOf(givenFileSchema, response);
}

async function filesOf<T>(schema: z.ZodType<T>, response: Response): Promise<T> {
  const parsed = schema.safeParse(await response.json().catch(() => null));
  if (parsed.success) return parsed.data;
  throw new SandboxError('the sandbox did not answer with a valid file', {
    retryable: false,
    hint: SAME_COMMIT,
  });
}

function ask(fetch: SandboxFetch, path: string, method: string, body: unknown): Promise<Response> {
  return send(fetch, path, { method, body: JSON.stringify(body) });
}

async function send(fetch: SandboxFetch, path: string, init: Parameters<SandboxFetch>[1]): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    if (cause instanceof SandboxError) throw cause;
    const why = messageOf(cause);
    throw new SandboxError(`the sandbox cannot be reached (${why})`, {
      retryable: true,
      hint: 'Check that the sandbox runs and that this Worker can reach it, then comment to try again.',
      reason: 'Waiting for the sandbox: it cannot be reached',
      cause,
    });
  }
  if (response.ok) return response;
  const refusal = refusalSchema.safeParse(await response.json().catch(() => null));
  const word = refusal.success ? refusal.data.error : '';
  if (LOST.includes(`${response.status} ${word}`)) throw new SandboxLostError();
  const message = refusal.success ? refusal.data.message : `HTTP ${response.status}`;
  throw new SandboxError(`the sandbox refused: ${message}`, {
    retryable: response.status >= 500 || response.status === 429 || response.status === 404,
    hint: hintOf(response.status, word),
    ...(word === 'disk-full' && { reason: `Waiting for the sandbox: the disk of its server is full. ${message}` }),
    ...(response.status === 503 && { reason: 'Waiting for the sandbox: its server is shutting down or busy' }),
  });
}

function hintOf(status: number, word: string): string {
  if (word === 'disk-full')
    return 'Free space on the machine of the sandbox server, or give it a larger disk (GET /health there says how much is left); then comment to try again.';
  if (word === 'protocol') return SAME_COMMIT;
  if (status !== 401) return 'Check the log of the sandbox server, then comment to try again.';
  return 'The secret that this Worker has for the sandbox server (SANDBOX_ENDPOINT_SECRET, or what was stored for the repository) and CYRUS_SANDBOX_SECRET of the server differ.';
}
