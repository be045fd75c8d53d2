/** From the gateway to a session's egress log: lines are gathered for a moment and handed over together. */
import { waitUntil } from 'cloudflare:workers';
import type { EgressObserver } from '../../gateway/egress-account.ts';
import type { Wanted } from '../../gateway/secrets/secret-search.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { EgressLine } from '../../protocol/egress-log.ts';

/** How long lines are gathered, in ms. If the isolate ends meanwhile they are lost; the structured log has the refusals. */
const GATHER_MS = 400;
/** Lines handed over at once. */
const MOST_LINES = 500;

const gathered = new Map<string, EgressLine[]>();

/** Tells the session about what leaves its sandbox. @param sessionId its object id */
export function egressObserver(env: Env, sessionId: string): EgressObserver {
  return {
    onLine(line) {
      const { host, method, path, verdict, status } = line;
      if (verdict !== 'allowed')
        log('gateway.egress.refused', { session: sessionId, host, method, path, verdict, status });
      const lines = gathered.get(sessionId);
      if (lines) {
        if (lines.length < MOST_LINES) lines.push(line);
        return;
      }
      gathered.set(sessionId, [line]);
      waitUntil(handOver(env, sessionId));
    },
    onSecret(host, secret) {
      waitUntil(raiseAlarm(env, sessionId, { secret, host }));
    },
  };
}

async function handOver(env: Env, sessionId: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
  const lines = gathered.get(sessionId) ?? [];
  gathered.delete(sessionId);
  try {
    await env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(sessionId)).noteEgress(lines);
  } catch (error) {
    log('gateway.egress.lost', { session: sessionId, lines: lines.length, error: asError(error) });
  }
}

/** Where a secret was met: on its way to a host, in what is or was pushed (`commit`), or in something else that people see (`place`). */
export interface Meeting {
  secret: Wanted;
  host?: string;
  commit?: string;
  place?: string;
}

/** A secret was met: the log, the session and its threads are told. Never rejects. */
export async function raiseAlarm(env: Env, sessionId: string, meeting: Meeting): Promise<void> {
  const { secret, host = 'the git host', commit, place } = meeting;
  const { kind, name } = secret;
  log('alert.gateway.decoy_caught', { session: sessionId, host, kind, name, commit, place });
  try {
    const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(sessionId));
    await session.raiseAlarm(crypto.randomUUID(), host, commit ?? null, { kind, name, ...(place && { place }) });
  } catch (error) {
    log('gateway.secret_alarm.lost', { session: sessionId, host, error: asError(error) });
  }
}
