/** How the gateway refuses: a status, and a body that names what is wrong. */
import type { Refusal } from '../../protocol/sandbox/batches.ts';

/** @param error a word for programs. @param message for the reader of the sandbox's log */
export function refuse(status: number, error: string, message: string): Response {
  return Response.json({ error, message } satisfies Refusal, { status });
}
