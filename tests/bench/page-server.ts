/**
 * The page's files, and the Worker behind them, at one address as Cloudflare has it: text is compressed on its way. Beside it a plain page
 * with the same text, which is what a browser can do with no code of ours at all.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export interface PageServer {
  url: string;
  /** What `/plain` answers. */
  plain: string;
  close(): Promise<void>;
}

/** @param web folder of the built page. @param worker address of the Worker */
export async function startPageServer(web: string, worker: string): Promise<PageServer> {
  const state = { plain: '' };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.statusCode = 502;
      response.end(String(error));
    });
  });
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = new URL(request.url ?? '/', 'http://page').pathname;
    if (path === '/plain') return send(response, TYPES['.html'] ?? '', state.plain);
    if (!path.startsWith('/api/')) {
      const name = extname(path) === '' ? 'index.html' : path.slice(1);
      return send(response, TYPES[extname(name)] ?? 'application/octet-stream', readFileSync(join(web, name)));
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answered = await fetch(`${worker}${request.url}`, {
      method: request.method ?? 'GET',
      headers: { 'content-type': request.headers['content-type'] ?? '' },
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
    });
    response.statusCode = answered.status;
    return send(response, answered.headers.get('content-type') ?? '', Buffer.from(await answered.arrayBuffer()));
  };
  // A socket is handed through as it is.
  server.on('upgrade', (request, socket, head) => {
    const { hostname, port } = new URL(worker);
    const upstream = connect(Number(port), hostname, () => {
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${String(value)}`);
      upstream.write(`GET ${request.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the page server has no port');
  return Object.assign(state, {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}

function send(response: ServerResponse, type: string, body: string | Buffer): void {
  const packed = gzipSync(body);
  response.setHeader('content-type', type);
  response.setHeader('content-encoding', 'gzip');
  response.setHeader('content-length', packed.byteLength);
  response.end(packed);
}
