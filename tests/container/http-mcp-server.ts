/** An MCP server over streamable HTTP for tests: the tools `read_note` and `write_note`, one answered as JSON, one as a stream. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpMcpServer {
  url: string;
  /** Every request: its method of HTTP, that of the protocol, and its headers. */
  requests: { method: string; call: string; tool: string; headers: NodeJS.Dict<string | string[]> }[];
  close(): Promise<void>;
}

const SESSION = 'session-of-the-protocol';

/** Starts it on a free port. @param credential the Authorization header it wants */
export async function startHttpMcpServer(credential: string): Promise<HttpMcpServer> {
  const requests: HttpMcpServer['requests'] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const { id, method, params = {} } = JSON.parse(text || '{"method":""}');
    const { headers } = request;
    requests.push({ method: request.method ?? '', call: method, tool: params.name ?? '', headers });
    if (headers.authorization !== credential) return response.writeHead(401).end('no');
    if (request.method !== 'POST') return response.writeHead(405).end();
    if (method !== 'initialize' && headers['mcp-session-id'] !== SESSION)
      return response.writeHead(400).end('which session?');
    if (id === undefined) return response.writeHead(202).end();
    const message = JSON.stringify({ jsonrpc: '2.0', id, result: result(method, params) });
    if (params.name === 'write_note') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`event: message\ndata: ${message}\n\n`);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': SESSION }).end(message);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function result(method: string, params: { protocolVersion?: string; name?: string }): object {
  if (method === 'initialize') {
    const serverInfo = { name: 'notes', version: '1' };
    return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo };
  }
  if (method === 'tools/list') {
    return { tools: ['read_note', 'write_note'].map((name) => ({ name, inputSchema: { type: 'object' } })) };
  }
  return { content: [{ type: 'text', text: `${params.name} is done` }] };
}
