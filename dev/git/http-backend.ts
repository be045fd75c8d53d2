/**
 * Git's smart HTTP through its own CGI program (https://git-scm.com/docs/git-http-backend). Bodies are streamed both
 * ways; the program itself unpacks gzip and reads each body up to its end.
 */
import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { gitEnvironment } from './git-command.ts';

export interface BackendRequest {
  /** The request's body: the request itself, unless that was read before. */
  body: Readable;
  /** Path of the program. */
  program: string;
  /** Directory above all repositories. */
  root: string;
  /** Path below the root, already checked, e.g. `/acme/shop.git/info/refs`. */
  path: string;
  /** Without the question mark. */
  query: string;
  /** Who is logged in; anyone who is may push. */
  user: string;
  /** Settings of git for this request. */
  settings: readonly [string, string][];
}

/** Longest header block taken from the program, in bytes. */
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * Lets `git http-backend` answer a request.
 * @returns when the program has ended. Never rejects: what fails before the answer has begun is answered with 500; what
 * breaks off later the client notices by itself, because git's packets say where an answer ends.
 */
export function serveGit(request: IncomingMessage, response: ServerResponse, backend: BackendRequest): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(backend.program, [], { env: cgiEnvironment(request, backend), stdio: 'pipe' });
    const stderr: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // The program may answer (e.g. refuse) before it has read everything.
    child.stdin.on('error', () => {});
    request.on('error', () => child.kill());
    response.on('close', () => {
      if (!response.writableFinished) child.kill();
    });
    backend.body.pipe(child.stdin);

    let head = Buffer.alloc(0);
    const onHead = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) {
        if (head.length > MAX_HEADER_BYTES) child.kill();
        return;
      }
      child.stdout.off('data', onHead);
      child.stdout.pause();
      writeHead(response, head.subarray(0, end).toString('latin1'));
      response.write(head.subarray(end + 4));
      child.stdout.pipe(response);
    };
    child.stdout.on('data', onHead);
    child.on('error', (error) => stderr.push(Buffer.from(error.message)));
    child.on('close', (code) => {
      if (!response.headersSent) {
        const why = Buffer.concat(stderr).toString('utf8').trim();
        response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' });
        response.end(`git http-backend failed: ${why || `exit ${code}`}\n`);
      }
      request.resume();
      resolve();
    });
  });
}

function cgiEnvironment(request: IncomingMessage, backend: BackendRequest): Record<string, string> {
  const { headers } = request;
  const more: Record<string, string> = {
    GIT_PROJECT_ROOT: backend.root,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: backend.path,
    QUERY_STRING: backend.query,
    REQUEST_METHOD: request.method ?? 'GET',
    REMOTE_USER: backend.user,
    REMOTE_ADDR: request.socket.remoteAddress ?? '',
    SERVER_PROTOCOL: 'HTTP/1.1',
    GATEWAY_INTERFACE: 'CGI/1.1',
  };
  if (headers['content-type']) more.CONTENT_TYPE = headers['content-type'];
  // Without CONTENT_LENGTH it reads a body up to its end. With it, a body that ends early keeps it in a busy loop (git 2.39).
  if (headers['content-encoding']) more.HTTP_CONTENT_ENCODING = headers['content-encoding'];
  const protocol = headers['git-protocol'];
  if (typeof protocol === 'string') more.GIT_PROTOCOL = protocol;
  return gitEnvironment(more, backend.settings);
}

/** Takes over the program's header lines; `Status: 404 Not Found` is the status, 200 without one. */
function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim();
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10) || 500;
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}
