/** The session's way to the gateway, between real clients and a gateway that says what it got. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findPeer, tellsPeers } from '../../container/gateway/peers.ts';
import { allowedPath, GatewayProxy, MAX_CONNECTIONS } from '../../container/gateway/proxy.ts';
import { openAccess, type SessionAccess } from '../../container/gateway/session-access.ts';
import { sessionPaths } from '../../container/paths.ts';
import { sessionEnvironment } from '../../container/process/environment.ts';
import { NO_WALL } from '../../container/walls/session-wall.ts';
import { eventually } from './stage.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let handler: Handler;
let token: string;
let gateway: { url: string; close(): void };
let way: GatewayProxy;

beforeEach(async () => {
  token = 'token-one';
  const server = createServer((request, response) => handler(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/gateway`;
  gateway = {
    url,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  way = await GatewayProxy.open(
    () => ({ url, token }),
    () => Promise.resolve(true),
  );
});
afterEach(() => {
  way.close();
  gateway.close();
});

/** A request as bytes. @returns all of the answer */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(way.url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

describe('the way to the gateway', () => {
  test('adds the token that counts now, and drops the client’s credentials and what is about the connection', async () => {
    const seen: IncomingMessage[] = [];
    handler = (request, response) => {
      seen.push(request);
      response.setHeader('connection', 'close, x-internal');
      response.setHeader('x-internal', '1');
      response.setHeader('x-kept', 'yes');
      response.end('ok');
    };
    const headers = {
      authorization: 'Bearer placeholder',
      'x-api-key': 'placeholder',
      cookie: 'a=b',
      'x-forwarded-for': '1.2.3.4',
      'anthropic-beta': 'x',
    };
    const answer = await fetch(`${way.url}/anthropic/v1/messages?beta=true`, { method: 'POST', body: '{}', headers });
    expect(await answer.text()).toBe('ok');
    expect(answer.headers.get('x-kept')).toBe('yes');
    expect(answer.headers.get('x-internal')).toBeNull();
    token = 'token-two';
    await fetch(`${way.url}/mcp/notes`);
    expect(seen.map(({ url }) => url)).toEqual(['/gateway/anthropic/v1/messages?beta=true', '/gateway/mcp/notes']);
    expect(seen.map((request) => request.headers.authorization)).toEqual(['Bearer token-one', 'Bearer token-two']);
    const [first] = seen;
    expect(first?.headers).toMatchObject({ 'anthropic-beta': 'x', host: new URL(gateway.url).host });
    for (const name of ['x-api-key', 'cookie', 'x-forwarded-for']) expect(first?.headers[name]).toBeUndefined();
  });

  test('leads nowhere but to Claude’s API, git, submodules and MCP', async () => {
    handler = () => {
      throw new Error('nothing may arrive');
    };
    const paths = [
      ...['/events', '/checkpoint/1/x', '/cache/base', `/patch/${'0'.repeat(40)}`, '/shared/x', '/', '/git', '/mcp'],
      ...[
        '/git/../events',
        '/git/%2e%2e/events',
        '/git/.%2E/events',
        '/git/a//b',
        '/git\\..\\events',
        '//evil.test/git/',
      ],
      ...['http://evil.test/git/x', '/anthropic/../../api/admin', '*'],
    ];
    for (const path of paths) {
      const answer = await raw(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      expect(answer, path).toMatch(/^(HTTP\/1\.1 (404|400) |$)/);
    }
    for (const method of ['CONNECT', 'OPTIONS', 'TRACE', 'PROPFIND'])
      expect(allowedPath({ method, url: '/git/a.git' })).toBeNull();
    expect(allowedPath({ method: 'GET', url: '/git/a/b.git/info/refs?service=git-upload-pack' })).not.toBeNull();
  });

  test('a request that could be read in two ways does not arrive', async () => {
    handler = () => {
      throw new Error('nothing may arrive');
    };
    for (const lines of [
      'content-length: 5\r\ntransfer-encoding: chunked',
      'content-length: 5\r\ncontent-length: 6',
      'transfer-encoding: chunked, identity',
      'content-length : 5',
    ]) {
      const answer = await raw(`POST /git/a/b HTTP/1.1\r\nhost: x\r\n${lines}\r\n\r\n0\r\n\r\n`);
      expect(answer, lines).toMatch(/^(HTTP\/1\.1 400 |$)/);
    }
  });

  test('bodies stream both ways, and a slow reader holds the sender back', async () => {
    let received = 0;
    let written = 0;
    handler = (request, response) => {
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
        // Each piece is answered before the request has ended.
        if (received <= 3) response.write(`got ${received}\n`);
      });
      request.on('end', () => {
        const block = Buffer.alloc(64 * 1024);
        const more = () => {
          for (let goesOn = true; goesOn && written < 64 * 1024 * 1024; ) {
            goesOn = response.write(block);
            written += block.length;
          }
          if (written >= 64 * 1024 * 1024) response.end();
        };
        response.on('drain', more);
        more();
      });
    };
    const { port } = new URL(way.url);
    const client = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: '/anthropic/v1/messages' });
    const answered = once(client, 'response');
    client.write('a');
    const [answer] = (await answered) as [IncomingMessage];
    expect(String((await once(answer, 'data'))[0])).toBe('got 1\n');
    client.write('b');
    expect(String((await once(answer, 'data'))[0])).toBe('got 2\n');
    answer.pause();
    client.end();
    await eventually(() => written > 0, 'the answer');
    for (let before = -1; before !== written; ) {
      before = written;
      await sleep(200);
    }
    // What the connections hold on their way, and no more.
    expect(written).toBeLessThan(32 * 1024 * 1024);
    answer.destroy();
  });

  test('a client or host that gives up is noticed on the other side, and an answer that was cut off never looks whole', async () => {
    const closed = new Promise<void>((resolve) => {
      handler = (request, response) => {
        response.write('begun');
        request.socket.on('close', () => resolve());
      };
    });
    const abort = new AbortController();
    const answer = await fetch(`${way.url}/anthropic/v1/messages`, { signal: abort.signal });
    expect(answer.status).toBe(200);
    abort.abort();
    await closed;
    handler = (request, response) => {
      response.writeHead(200);
      response.write('half', () => request.socket.destroy());
    };
    await expect(fetch(`${way.url}/anthropic/v1/messages`).then((cut) => cut.text())).rejects.toThrow();
    way.close();
    handler = (_request, response) => void response.end();
  });

  test('a session has so many connections at a time and no more, and later ones again', async () => {
    handler = (_request, response) => response.end('served');
    const port = Number(new URL(way.url).port);
    const sockets = Array.from({ length: MAX_CONNECTIONS + 50 }, () =>
      connect(port, '127.0.0.1').on('error', () => {}),
    );
    let closed = 0;
    for (const socket of sockets) socket.on('close', () => (closed += 1));
    await eventually(() => closed >= 50, 'those beyond the limit to be closed', 10_000);
    expect(closed).toBe(50);
    for (const socket of sockets) socket.destroy();
    await eventually(() => closed === sockets.length, 'the end of all', 10_000);
    expect(await raw('GET /anthropic/v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toContain('served');
  });

  test('a gateway that is away is answered as 502 with a message', async () => {
    gateway.close();
    const answer = await fetch(`${way.url}/anthropic/v1/messages`, { method: 'POST', body: '{}' });
    expect([answer.status, await answer.text()]).toEqual([
      502,
      expect.stringContaining('The gateway cannot be reached'),
    ]);
  });

  test('a client that waits for “100 Continue” is told to go on, and trailers arrive', async () => {
    handler = async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      response.writeHead(200, { trailer: 'x-sum' });
      response.write(`${body} ${request.trailers['x-end']}`);
      response.addTrailers({ 'x-sum': '7', authorization: 'none' });
      response.end();
    };
    const { port } = new URL(way.url);
    const headers = { expect: '100-continue', trailer: 'x-end', 'transfer-encoding': 'chunked' };
    const client = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: '/git/a/b', headers });
    client.flushHeaders();
    await once(client, 'continue');
    client.write('body');
    client.addTrailers({ 'x-end': 'end' });
    client.end();
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    expect([text, answer.trailers]).toEqual(['body end', { 'x-sum': '7' }]);
  });

  test('objects of Git LFS are at addresses on the way, whatever name the gateway gave itself', async () => {
    const path = '/git/acme/shop.git/info/lfs/objects';
    const actionsAt = (base: string) => ({ actions: { download: { href: `${base}${path}/x`, expires_in: 9 } } });
    handler = (_request, response) => {
      const objects = [
        actionsAt(gateway.url),
        actionsAt('https://other.name/gateway'),
        { oid: '1', error: { code: 404 } },
      ];
      response.end(JSON.stringify({ transfer: 'basic', objects }));
    };
    const answer = await fetch(`${way.url}${path}/batch`, { method: 'POST', body: '{}' });
    const here = actionsAt(way.url);
    expect(await answer.json()).toEqual({
      transfer: 'basic',
      objects: [here, here, { oid: '1', error: { code: 404 } }],
    });
  });
});

describe.skipIf(!tellsPeers())('the way to the gateway serves the processes of its session alone', () => {
  let root: string;
  let access: SessionAccess;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'cyrus-peers-'));
    handler = (_request, response) => void response.end('open');
    access = await openAccess(sessionPaths(root, 'one').dir, () => ({ url: gateway.url, token }), NO_WALL);
  });
  afterEach(async () => {
    access.proxy.close();
    await rm(root, { recursive: true, force: true });
  });
  const asks = (url: string) => `process.stdout.write(await (await fetch('${url}/mcp/notes')).text())`;
  const node = ['--input-type=module', '--eval'];

  test('those that were started for it, and what these start', async () => {
    const child = spawn('sh', ['-c', 'sleep 0.3; "$0" "$@" & wait', process.execPath, ...node, asks(access.proxy.url)]);
    access.peers.add(child);
    expect(String((await once(child.stdout, 'data'))[0])).toBe('open');
  });

  test('those that have left their parents', async () => {
    const env = sessionEnvironment(sessionPaths(root, 'one'));
    const asksLate = `setTimeout(async () => { ${asks(access.proxy.url)} }, 100)`;
    // The shell has ended by then.
    const args = ['-c', '"$0" "$@" &', process.execPath, ...node, asksLate];
    const child = spawn('sh', args, { env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    expect(String((await once(child.stdout, 'data'))[0])).toBe('open');
  });

  test('and no others: neither the server’s own, nor those of another session', async () => {
    expect((await fetch(`${access.proxy.url}/mcp/notes`)).status).toBe(403);
    const env = sessionEnvironment(sessionPaths(root, 'two'));
    const { stdout } = await promisify(execFile)(process.execPath, [...node, asks(access.proxy.url)], { env });
    expect(stdout).toContain('another session');
  });
});

test('the other end of a connection is told by both addresses', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1',
    '   1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 70001        0 200 1',
  ].join('\n');
  expect(findPeer(table, '0100007F:D431', '0100007F:1F90')).toEqual({ uid: 70001, inode: '200' });
  expect(findPeer(table, '0100007F:D432', '0100007F:1F90')).toBeNull();
});
