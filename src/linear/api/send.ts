/** The two ways of a call to Linear: through the workspace's object, or with a token at hand. */
import { messageOf } from '../../lib/error.ts';
import { type CallResult, dataOf, failure, type Send } from './call.ts';
import { request } from './request.ts';

/**
 * Sends calls through a workspace's object, which has the tokens and governs how much is sent.
 * @param workspaceId Linear's organization id
 * @param session id of the issue session that asks, if one does
 */
export function sendThrough(env: Pick<Env, 'LINEAR_WORKSPACE'>, workspaceId: string, session?: string): Send {
  return async (call) => {
    let result: CallResult;
    try {
      result = await env.LINEAR_WORKSPACE.getByName(workspaceId).call(
        session === undefined ? call : { ...call, session },
      );
    } catch (cause) {
      // The object was replaced or moved; the next try finds it again.
      const why = messageOf(cause);
      result = failure('unreachable', `the workspace's object did not answer: ${why}`);
    }
    return dataOf(result);
  };
}

/** Sends calls straight to Linear, past the workspace's object: for a token that no workspace has yet. */
export function sendWith(apiUrl: string, accessToken: string): Send {
  return async (call) => dataOf((await request(apiUrl, accessToken, call)).result);
}
