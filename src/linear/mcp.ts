/** A request to Linear's own MCP server (linear.app/docs/mcp), with the app's token; its answer is streamed. */
import { withTimeout } from '../lib/timeout.ts';

/** Longest wait for an answer to begin. */
const ANSWER_TIMEOUT_MS = 120_000;

/** A request of the MCP protocol, without a credential. */
export interface McpRequest {
  method: string;
  headers: [name: string, value: string][];
  body: string | null;
}

/**
 * Sends a request. Redirects are not followed.
 * @returns the server's answer as it streams
 * @throws TypeError where the server cannot be reached; a DOMException after 120 s
 */
export function askLinearMcp(mcpUrl: string, accessToken: string, request: McpRequest): Promise<Response> {
  const headers = new Headers(request.headers);
  headers.set('authorization', `Bearer ${accessToken}`);
  return withTimeout(ANSWER_TIMEOUT_MS, (signal) =>
    fetch(mcpUrl, { method: request.method, headers, body: request.body, redirect: 'manual', signal }),
  );
}
