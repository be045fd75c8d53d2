/** The sandbox server's HTTP interface, spoken the same way to a container and to an endpoint. */
import {
  refusalSchema,
  type SandboxCommand,
  type SandboxStatus,
  type StartSession,
  sandboxStatusSchema,
} from '../protocol/sandbox.ts';
import { SandboxError } from './sandbox.ts';

/** Sends a request to a sandbox server; `path` begins with a slash. */
export type SandboxFetch = (path: string, init: { method: string; body: string }) => Promise<Response>;

/** `PUT /sessions/:id` @throws SandboxError */
export async function startSession(fetch: SandboxFetch, sessionId: string, body: StartSession): Promise<SandboxStatus> {
  const response = await ask(fetch, `/sessions/${sessionId}`, 'PUT', body);
  const parsed = sandboxStatusSchema.safeParse(await response.json().catch(() => null));
  if (parsed.success) return parsed.data;
  throw new SandboxError('the sandbox answered something that is no status', {
    retryable: false,
    hint: 'The sandbox server and this Worker are of different versions; deploy both from the same commit.',
  });
}

/** `POST /sessions/:id/commands` @throws SandboxError */
export async function sendCommand(fetch: SandboxFetch, sessionId: string, command: SandboxCommand): Promise<void> {
  const response = await ask(fetch, `/sessions/${sessionId}/commands`, 'POST', command);
  await response.body?.cancel();
}

async function ask(fetch: SandboxFetch, path: string, method: string, body: unknown): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { method, body: JSON.stringify(body) });
  } catch (cause) {
    if (cause instanceof SandboxError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SandboxError(`the sandbox cannot be reached (${why})`, {
      retryable: true,
      hint: 'Check that the sandbox runs and that this Worker can reach it, then comment to try again.',
      cause,
    });
  }
  if (response.ok) return response;
  const refusal = refusalSchema.safeParse(await response.json().catch(() => null));
  const message = refusal.success ? refusal.data.message : `HTTP ${response.status}`;
  throw new SandboxError(`the sandbox refused: ${message}`, {
    retryable: response.status >= 500 || response.status === 429 || response.status === 404,
    hint:
      response.status === 401
        ? 'SANDBOX_ENDPOINT_SECRET of this Worker and CYRUS_SANDBOX_SECRET of the sandbox server differ.'
        : 'Look into the log of the sandbox server, then comment to try again.',
  });
}
