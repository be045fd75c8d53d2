/** A git host for tests: `git http-backend` behind node:http, with basic authentication and a record of what was asked. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gitVariables } from './real-git.ts';

export interface GitBackend {
  url: string;
  /** `METHOD path?query` of every request, with its authorization header and the bytes of its body. */
  requests: { line: string; authorization: string | undefined; bytes: number }[];
  close: () => Promise<void>;
}

/** Serves every bare repository below `root`. */
export async function startGitBackend(root: string, credential: string): Promise<GitBackend> {
  const requests: GitBackend['requests'] = [];
  const authorization = `Basic ${Buffer.from(credential).toString('base64')}`;
  const server = createServer((message, response) => {
    const seen = { line: `${message.method} ${message.url}`, authorization: message.headers.authorization, bytes: 0 };
    requests.push(seen);
    message.on('data', (chunk: Buffer) => {
      seen.bytes += chunk.byteLength;
    });
    if (message.headers.authorization !== authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('who are you?');
      return;
    }
    backend(root, message, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function backend(root: string, message: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(message.url ?? '/', 'http://host');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...gitVariables(root),
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'cyrus',
      REQUEST_METHOD: message.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: message.headers['content-type'] ?? '',
      CONTENT_LENGTH: message.headers['content-length'] ?? '',
      HTTP_CONTENT_ENCODING: message.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(message.headers['git-protocol'] ?? ''),
    },
  });
  message.pipe(child.stdin);
  message.on('close', () => {
    if (!message.complete) child.kill();
  });
  child.stdin.on('error', () => {});
  let head = Buffer.alloc(0);
  let headDone = false;
  child.stdout.on('data', (chunk: Buffer) => {
    if (headDone) {
      response.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    headDone = true;
    const lines = head.subarray(0, end).toString().split('\r\n');
    const headers = lines.map((line) => line.split(': ', 2) as [string, string]);
    const status = headers.find(([name]) => name === 'Status')?.[1] ?? '200';
    response.writeHead(Number.parseInt(status, 10), Object.fromEntries(headers.filter(([name]) => name !== 'Status')));
    response.write(head.subarray(end + 4));
  });
  child.stdout.on('end', () => response.end());
}
