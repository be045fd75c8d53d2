/** A request of the sandbox server to the gateway. */
import { messageOf } from '../../src/lib/error.ts';

/** Where the gateway is, what it is shown, and what gives a request up. */
export interface GatewayAccess {
  gateway: { url: string; token: string };
  signal: AbortSignal;
}

/** The gateway refused, or did not answer: then `status` is null. */
export class GatewayRequestError extends Error {
  override readonly name = 'GatewayRequestError';
  readonly status: number | null;
  constructor(message: string, status: number | null) {
    super(message);
    this.status = status;
  }
}

/**
 * Sends one request.
 * @param path below the gateway's address
 * @param accepted statuses that are answers, beside those of success
 * @throws GatewayRequestError
 */
export async function askGateway(
  { gateway, signal }: GatewayAccess,
  path: string,
  init: RequestInit,
  timeoutMs: number,
  accepted: number[] = [],
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(`${gateway.url}${path}`, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${gateway.token}` },
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
  } catch (error) {
    throw new GatewayRequestError(`the gateway did not answer: ${messageOf(error)}`, null);
  }
  if (answer.ok || accepted.includes(answer.status)) return answer;
  const text = (await answer.text().catch(() => '')).slice(0, 300);
  throw new GatewayRequestError(`the gateway answered ${answer.status} ${text}`, answer.status);
}
