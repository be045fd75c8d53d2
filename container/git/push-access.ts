/** Whether the git host takes pushes of the session at all: asked as git asks before a push, beside the start and never in its way. */
import { askGateway, GatewayRequestError } from '../gateway/request.ts';
import { log } from '../log.ts';
import type { IncarnationContext } from '../session/context.ts';

/** An answer that takes longer says nothing. */
const ASK_TIMEOUT_MS = 20_000;
/** Most of what the host said that is repeated, in UTF-16 code units. */
const MAX_WORDS = 500;

/**
 * Asks for the list of refs that a push begins with (gitprotocol-http(5)): a host refuses it to a credential that may only read.
 * @returns why nothing can be pushed, as text for users; null if it can, if nothing is to be pushed, or where the host does
 * not say now. Never rejects
 */
export async function pushRefusal({ start, signal }: IncarnationContext): Promise<string | null> {
  const { fullName, readOnly } = start.repository;
  if (readOnly) return null;
  try {
    const path = `/git/${fullName}.git/info/refs?service=git-receive-pack`;
    const init = { headers: { 'user-agent': 'git/cyrus' } };
    const answer = await askGateway({ gateway: start.gateway, signal }, path, init, ASK_TIMEOUT_MS, [401, 403]);
    if (answer.ok) {
      await answer.body?.cancel();
      return null;
    }
    const text = (await answer.text()).trim().slice(0, MAX_WORDS);
    // What is no plain text is the gateway's own refusal, of this session's token.
    if (!(answer.headers.get('content-type') ?? '').startsWith('text/plain')) return null;
    return refusalText(fullName, text.replace(/^Cyrus: /, ''));
  } catch (error) {
    if (!(error instanceof GatewayRequestError) && !signal.aborted) {
      log('git.push_check.failed', { error });
    }
    return null;
  }
}

function refusalText(fullName: string, said: string): string {
  const why = said === '' ? '' : ` (${said})`;
  return `Nothing can be pushed to ${fullName}: Cyrus has read access only${why}. A Cyrus admin has to store a credential with write access for the repository, or give the present one write access (on GitHub: “Contents: read and write”); then comment to continue.`;
}

/** Tells people at once and Claude with its prompt. A start that has its answer by now is the rule; a slow host's is told when it comes. */
export function tellPushRefusal(context: IncarnationContext, asked: Promise<string | null>): void {
  const tell = async () => {
    const refusal = await asked;
    if (refusal === null || context.isOver) return;
    context.emit({ type: 'notice', text: refusal });
    const { record } = context;
    record.notes = [...new Set([...(record.notes ?? []), `${refusal} Say so in your answer if you change anything.`])];
    await context.remember();
  };
  tell().catch((error: unknown) => context.broken('push-access', error));
}
