/**
 * A session's way to the gateway: a server on loopback that adds the session token, which the sandbox server alone holds. Claude's CLI, git,
 * git-lfs and MCP speak plain HTTP to it. It hands bodies on as they come, both ways, and forwards to the gateway alone.
 */

import { randomBytes } from 'node:crypto';
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { messageOf } from '../../src/lib/error.ts';
import { withOwnAddresses } from '../lfs/answer.ts';
import { log } from '../log.ts';
import { forwardableHeaders, forwardableTrailers } from './forwardable-headers.ts';

/** The gateway's address and the session token; asked for each request, so that a renewed token counts at once. */
export type GatewayCredential = () => { url: string; token: string };

/** @returns whether the process on the other end is one that may use this session's token */
export type PeerCheck = (socket: Socket) => Promise<boolean>;

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE']);
/** What else the gateway has (events, checkpoints, the cache, patches, shared files) only the server itself asks for. */
const PATHS = /^\/(anthropic|git|modules|mcp)\//;
const LFS_BATCH = /^\/git\/[^?]*\/info\/lfs\/objects\/batch$/;
/** Most connections of a session at a time. Whose each one is, is looked up in lists of the machine, which costs every session's server. */
export const MAX_CONNECTIONS = 512;
/** Longer than a client leaves between two requests, so that it does not meet a connection that is being closed. */
const KEEP_ALIVE_MS = 75_000;
/** A connection to the gateway that rests longer may have been closed there. */
const IDLE_UPSTREAM_MS = 4_000;

export class GatewayProxy {
  /** `http://127.0.0.1:port`, with a path of its own where peers cannot be told. */
  readonly url: string;
  readonly #server: Server;
  readonly #agents: Agents;

  private constructor(url: string, server: Server, agents: Agents) {
    this.url = url;
    this.#server = server;
    this.#agents = agents;
  }

  /**
   * Opens it on a free port.
   * @param mayUse null if the platform does not tell whose a connection is: then the address holds a secret of its own
   * @throws if no port is to be had
   */
  static async open(credential: GatewayCredential, mayUse: PeerCheck | null): Promise<GatewayProxy> {
    const agents = makeAgents();
    const prefix = mayUse === null ? `/${randomBytes(16).toString('hex')}` : '';
    /** Looked at once for each connection. */
    const judged = new WeakMap<Socket, Promise<boolean>>();
    const isWelcome = (socket: Socket) => {
      if (mayUse === null) return Promise.resolve(true);
      const known = judged.get(socket) ?? mayUse(socket).catch(() => false);
      judged.set(socket, known);
      return known;
    };
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
    const take = (request: IncomingMessage, response: ServerResponse, continues: boolean) => {
      const begin = async () => {
        if (!(await isWelcome(request.socket))) {
          return refuse(response, 403, 'This address serves the processes of another session.');
        }
        const path = allowedPath(request, prefix);
        if (path === null) return refuse(response, 404, 'Nothing is forwarded from this path.');
        if (continues) response.writeContinue();
        const { url, token } = credential();
        forward(request, response, {
          base: url,
          path,
          token,
          agents,
          ownUrl: () => `http://${hostOf(server)}${prefix}`,
        });
      };
      begin().catch((error: unknown) => {
        log('gateway.request.failed', { error });
        refuse(response, 500, 'The sandbox server failed.');
      });
    };
    server.on('request', (request, response) => take(request, response, false));
    server.on('checkContinue', (request, response) => take(request, response, true));
    server.maxConnections = MAX_CONNECTIONS;
    server.on('clientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    // A session does not keep a server alive that is otherwise done.
    server.unref();
    return new GatewayProxy(`http://${hostOf(server)}${prefix}`, server, agents);
  }

  /** Cuts every request off. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agents.plain.destroy();
    this.#agents.secure.destroy();
  }
}

interface Agents {
  plain: Agent;
  secure: SecureAgent;
}

function makeAgents(): Agents {
  const options = { keepAlive: true, timeout: IDLE_UPSTREAM_MS, scheduling: 'lifo' as const };
  return { plain: new Agent(options), secure: new SecureAgent(options) };
}

function hostOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/**
 * The path at the gateway, as it was sent; null for what is not forwarded. What a parser would read otherwise (dot segments,
 * backslashes, an address of another host) is not forwarded either, so that the gateway sees the path that was judged.
 */
export function allowedPath(
  request: { method?: string | undefined; url?: string | undefined },
  prefix = '',
): string | null {
  const sent = request.url ?? '';
  if (!METHODS.has(request.method ?? '') || !sent.startsWith(`${prefix}/`)) return null;
  const path = sent.slice(prefix.length);
  if (!PATHS.test(path) || !URL.canParse(`http://gateway${path}`)) return null;
  const parsed = new URL(`http://gateway${path}`);
  const isAmbiguous = parsed.pathname.includes('//') || /%(2f|5c|00)/i.test(parsed.pathname);
  return `${parsed.pathname}${parsed.search}` === path && !isAmbiguous ? path : null;
}

interface Target {
  base: string;
  path: string;
  token: string;
  agents: Agents;
  ownUrl: () => string;
}

function forward(request: IncomingMessage, response: ServerResponse, target: Target): void {
  const url = new URL(`${target.base}${target.path}`);
  const isBatch = LFS_BATCH.test(target.path);
  const headers = {
    ...forwardableHeaders(request),
    ...bodyHeaders(request.headers),
    // What is compressed could not be rewritten.
    ...(isBatch && { 'accept-encoding': 'identity' }),
    authorization: `Bearer ${target.token}`,
  };
  const options: RequestOptions = {
    method: request.method ?? 'GET',
    headers,
    agent: url.protocol === 'https:' ? target.agents.secure : target.agents.plain,
  };
  const upstream = requestTo(url, options);
  // The client gave it up, or everything was said.
  response.on('close', () => upstream.destroy());
  upstream.on('error', (error) => {
    if (response.destroyed || response.writableEnded) return;
    if (response.headersSent) response.destroy();
    else refuse(response, 502, `The gateway cannot be reached: ${error.message}.`);
  });
  upstream.on('response', (answer) => {
    const status = answer.statusCode ?? 502;
    if (isBatch && status === 200) {
      return void withOwnAddresses(answer, target.base, target.ownUrl()).then(
        (body) => {
          response.writeHead(status, { ...forwardableHeaders(answer), 'content-length': body.length });
          response.end(body);
        },
        (error: unknown) => refuse(response, 502, messageOf(error)),
      );
    }
    const length = answer.headers['content-length'];
    const trailer = answer.headers.trailer;
    response.writeHead(status, {
      ...forwardableHeaders(answer),
      ...(length !== undefined && { 'content-length': length }),
      ...(trailer !== undefined && length === undefined && { trailer }),
    });
    // What comes slowly is seen as it comes.
    response.flushHeaders();
    answer.on('data', (chunk: Buffer) => {
      if (!response.write(chunk)) answer.pause();
    });
    response.on('drain', () => answer.resume());
    answer.on('end', () => {
      if (trailer !== undefined) response.addTrailers(forwardableTrailers(answer));
      response.end();
    });
    // Cut off: the client must not take what it has for all.
    answer.on('aborted', () => response.destroy());
    answer.on('error', () => response.destroy());
  });
  request.on('aborted', () => upstream.destroy());
  request.on('error', () => upstream.destroy());
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    upstream.end();
    return;
  }
  request.on('data', (chunk: Buffer) => {
    if (!upstream.write(chunk)) request.pause();
  });
  upstream.on('drain', () => request.resume());
  request.on('end', () => {
    upstream.addTrailers(forwardableTrailers(request));
    upstream.end();
  });
}

/** The framing of the body, written again by node, so that it can be read in one way only. */
function bodyHeaders(headers: IncomingHttpHeaders): { 'content-length'?: string; 'transfer-encoding'?: string } {
  if (headers['transfer-encoding'] !== undefined) return { 'transfer-encoding': 'chunked' };
  return headers['content-length'] === undefined ? {} : { 'content-length': headers['content-length'] };
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // The body that was not read must not be taken for the next request.
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ error: { type: 'cyrus_sandbox', message: `Cyrus: ${message}` } }));
}

/** @throws TypeError for headers that are none */
export function requestTo(url: URL, options: RequestOptions): ClientRequest {
  return url.protocol === 'https:' ? secureRequest(url, options) : plainRequest(url, options);
}
