/** Serves a function from Request to Response through node:http, so that real clients (git, curl) can call it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

export interface WebServer {
  url: string;
  close: () => Promise<void>;
}

/** Listens on a free port of the loopback address. */
export async function serve(handle: (request: Request) => Promise<Response>): Promise<WebServer> {
  const server = createServer((message, response) => {
    answer(message, response, handle).catch((error) => response.destroy(error));
  });
  // Git cannot send a streamed push again when the connection it keeps turns out to be closed.
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  message: IncomingMessage,
  response: ServerResponse,
  handle: (request: Request) => Promise<Response>,
): Promise<void> {
  const hasBody = message.method !== 'GET' && message.method !== 'HEAD';
  const headers = new Headers();
  for (let i = 0; i < message.rawHeaders.length; i += 2) {
    headers.append(message.rawHeaders[i] ?? '', message.rawHeaders[i + 1] ?? '');
  }
  const init: RequestInit & { duplex: 'half' } = { method: message.method ?? 'GET', headers, duplex: 'half' };
  if (hasBody) init.body = Readable.toWeb(message) as ReadableStream<Uint8Array<ArrayBuffer>>;
  const answered = await handle(new Request(`http://${message.headers.host}${message.url}`, init));
  response.writeHead(answered.status, [...answered.headers].flat());
  if (answered.body) await pipeline(Readable.fromWeb(answered.body as NodeReadableStream), response);
  else response.end();
}
