/** Plays the Worker's gateway: takes events and patches, forwards to Claude's API and to the git host with the real credentials. */

import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as WebStream } from 'node:stream/web';
import { forwardToGit } from '../../src/gateway/git/git.ts';
import { forwardToLfs } from '../../src/gateway/git/lfs.ts';
import { submoduleAddress } from '../../src/gateway/git/submodules.ts';
import { SecretSearch } from '../../src/gateway/secrets/secret-search.ts';
import { type CheckpointManifest, checkpointManifestSchema } from '../../src/protocol/checkpoint.ts';
import { type EventBatch, eventBatchSchema } from '../../src/protocol/sandbox/batches.ts';
import type { SandboxEvent } from '../../src/protocol/sandbox/events.ts';

export interface GatewayStandIn {
  url: string;
  /** Session token that is accepted now. */
  token: string;
  /** Events as they were stored, consecutive and each once, of the stream that began last. */
  readonly events: SandboxEvent[];
  /** Every batch that was accepted, heartbeats included. */
  batches: { at: number; batch: EventBatch; bytes: number }[];
  /** Patches by commit. */
  patches: Map<string, string>;
  /** Files that were shared, as often as they were sent. */
  shared: { hash: string; content: Buffer }[];
  /** The checkpoint that counts, and the objects of all of them by `generation/name`. */
  checkpoint: CheckpointManifest | null;
  checkpointObjects: Map<string, Buffer>;
  /** How long a checkpoint takes to be stored, in ms, and when the one that counts was. */
  checkpointDelayMs: number;
  checkpointStoredAt: number;
  /** 503 to checkpoints alone while true. */
  checkpointsAway: boolean;
  /** Requests for checkpoints and batches of events that were answered with 503 meanwhile. */
  refusedCheckpoints: number;
  refusedBatches: number;
  /** 400 to checkpoints alone while true. */
  checkpointsRefused: boolean;
  /** What is kept of repositories: manifests by entry, parts by `entry/version/part`. */
  cache: Map<string, Buffer>;
  /** 503 to everything while true. */
  away: boolean;
  /** 503 to events alone while true. */
  eventsAway: boolean;
  /** Events are refused as those of an earlier incarnation while true. */
  superseded: boolean;
  /** A number above 0 loses that many answers to batches after storing them. */
  loseAnswers: number;
  /** Requests to the git host, or those of one service, are answered with this instead, when it is set. */
  refuseGit: { status: number; text: string; service?: 'git-receive-pack' } | null;
  /** Pushes are judged by the gateway's own code, where what runs at the host waits for people: fingerprints that they allowed. */
  allowedPushes: Set<string> | null;
  /** Called before each request to the git host, with its path there. */
  beforeGit: ((path: string) => Promise<void>) | null;
  /** MCP servers by name: where they are, and the Authorization that the gateway adds. */
  mcpServers: Map<string, { url: string; authorization: string }>;
  /** From now on `events` are those of a stream that is yet to begin. */
  awaitNewStream(): void;
  close(): Promise<void>;
}

export interface GatewayTargets {
  model: { url: string; header: 'authorization' | 'x-api-key'; value: string } | null;
  git: { url: string; username: string; password: string } | null;
}

/** Starts it on a free port. */
export async function startGatewayStandIn(token: string, targets: GatewayTargets): Promise<GatewayStandIn> {
  const streams = new Map<string, SandboxEvent[]>();
  let latest: SandboxEvent[] = [];
  let latestGeneration = 1;
  const pushed = new Map<string, readonly string[]>();

  const server = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    if (gateway.away) return send(response, 503, { error: 'away', message: 'away' });
    if (tokenOf(request) !== gateway.token) {
      response.setHeader('www-authenticate', 'Basic realm="gateway"');
      return send(response, 401, { error: 'forged', message: 'unknown token' });
    }
    if (path === '/gateway/events' && request.method === 'POST') return takeEvents(await read(request), response);
    const patch = /^\/gateway\/patch\/([0-9a-f]{40})$/.exec(path);
    if (patch?.[1] && request.method === 'PUT') {
      if (!request.headers['content-length']) return send(response, 411, { error: 'length', message: 'length' });
      gateway.patches.set(patch[1], (await read(request)).toString('utf8'));
      return send(response, 201, {});
    }
    const shared = /^\/gateway\/shared\/([0-9a-f]{64})(\?|$)/.exec(path);
    if (shared?.[1] && request.method === 'PUT') {
      gateway.shared.push({ hash: shared[1], content: await read(request) });
      return send(response, 201, {});
    }
    if (path.startsWith('/gateway/checkpoint')) return takeCheckpoint(request, response, path);
    if (path.startsWith('/gateway/cache/')) return keep(request, response, path.slice('/gateway/cache/'.length));
    if (path.startsWith('/gateway/anthropic/') && targets.model) {
      const { url, header, value } = targets.model;
      return forward(request, response, `${url}${path.slice('/gateway/anthropic'.length)}`, { [header]: value });
    }
    const mcp = gateway.mcpServers.get(/^\/gateway\/mcp\/([a-z0-9-]+)$/.exec(path)?.[1] ?? '');
    if (mcp) return forward(request, response, mcp.url, { authorization: mcp.authorization });
    if (path.startsWith('/gateway/git/') && targets.git) {
      const { refuseGit, beforeGit } = gateway;
      await beforeGit?.(path);
      if (refuseGit && path.includes(refuseGit.service ?? '')) {
        response.writeHead(refuseGit.status, { 'content-type': 'text/plain' }).end(refuseGit.text);
        return;
      }
      const { url, username, password } = targets.git;
      const lfs = /^\/gateway\/git\/([^/]+\/[^/]+)\.git\/info\/lfs\/(.*)$/.exec(path);
      if (lfs) {
        const [, fullName = '', resource = ''] = lfs;
        return serveLfs(request, response, fullName, resource, targets.git);
      }
      if (gateway.allowedPushes !== null && path.endsWith('/git-receive-pack')) {
        return servePush(request, response, path.slice('/gateway/git/'.length), targets.git);
      }
      const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
      return forward(request, response, `${url}${path.slice('/gateway/git'.length)}`, { authorization: basic });
    }
    if (path.startsWith('/gateway/modules/')) {
      return serveModule(request, response, path.slice('/gateway/modules/'.length));
    }
    send(response, 404, { error: 'not_found', message: path });
  }

  /** Reads another repository of the same host, as the gateway decides by the address. */
  function serveModule(request: IncomingMessage, response: ServerResponse, path: string) {
    const [, encoded = '', resource = ''] =
      /^([\w-]+)\/(info\/refs\?service=git-upload-pack|git-upload-pack)$/.exec(path) ?? [];
    const found = submoduleAddress(Buffer.from(encoded, 'base64url').toString(), `${targets.git?.url}/acme/own.git`);
    if (!targets.git || 'why' in found) {
      const why = 'why' in found ? found.why : 'no host';
      return void response.writeHead(403, { 'content-type': 'text/plain' }).end(`Cyrus: it is not fetched: ${why}\n`);
    }
    const basic = `Basic ${Buffer.from(`${targets.git.username}:${targets.git.password}`).toString('base64')}`;
    return forward(request, response, `${found.address}/${resource}`, { authorization: basic });
  }

  /** By the gateway's own code, with its addresses. */
  async function serveLfs(
    message: IncomingMessage,
    response: ServerResponse,
    fullName: string,
    resource: string,
    git: NonNullable<GatewayTargets['git']>,
  ): Promise<void> {
    const hasBody = message.method !== 'GET' && message.method !== 'HEAD';
    const init: RequestInit & { duplex: 'half' } = { method: message.method ?? 'GET', duplex: 'half' };
    init.headers = new Headers(Object.entries(message.headers).map(([name, value]) => [name, String(value)]));
    if (hasBody) init.body = Readable.toWeb(message) as ReadableStream<Uint8Array<ArrayBuffer>>;
    const answer = await forwardToLfs(new Request(`${gateway.url}/git/${fullName}.git/info/lfs/${resource}`, init), {
      resource,
      base: `${gateway.url}/git/${fullName}.git/info/lfs/`,
      claims: { s: 'a'.repeat(64), w: 'workspace', r: fullName, b: 'branch', g: 1 },
      remote: {
        cloneUrl: `${git.url}/${fullName}.git`,
        credential: { username: git.username, password: git.password },
      },
      keys: { encryptionKey: Buffer.alloc(32, 1).toString('base64') },
      observer: { onLine: () => {}, onSecret: () => {} },
      secrets: new SecretSearch([]),
      fetcher: (onward) => fetch(onward),
    });
    response.writeHead(answer.status, [...answer.headers].flat());
    if (answer.body) await pipeline(Readable.fromWeb(answer.body as WebStream), response);
    else response.end();
  }

  /** By the gateway's own code. */
  async function servePush(
    message: IncomingMessage,
    response: ServerResponse,
    path: string,
    { url, username, password }: NonNullable<GatewayTargets['git']>,
  ): Promise<void> {
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', duplex: 'half' };
    init.headers = new Headers(Object.entries(message.headers).map(([name, value]) => [name, String(value)]));
    init.body = Readable.toWeb(message) as ReadableStream<Uint8Array<ArrayBuffer>>;
    const fullName = path.slice(0, path.indexOf('.git/'));
    const claims = { s: 'a'.repeat(64), w: 'workspace', r: fullName, b: 'cyrus/shop-1', g: 1 };
    const own = {
      all: async () => pushed,
      branch: async () => claims.b,
      confirm: async () => {},
      add: async (commits: ReadonlyMap<string, readonly string[]>) => {
        for (const [id, parents] of commits) pushed.set(id, parents);
      },
    };
    const answer = await forwardToGit(
      new Request(`${gateway.url}/git/${path}`, init),
      path,
      claims,
      { cloneUrl: `${url}/${fullName}.git`, credential: { username, password } },
      (onward) => fetch(onward),
      undefined,
      own,
      null,
      {
        bases: async () => ['main'],
        paths: [],
        isAllowed: async (fingerprint) => gateway.allowedPushes?.has(fingerprint) ?? false,
        onHeld: async () => null,
      },
    );
    response.writeHead(answer.status, [...answer.headers].flat());
    if (answer.body) await pipeline(Readable.fromWeb(answer.body as WebStream), response);
    else response.end();
  }

  async function takeCheckpoint(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const body = await read(request);
    if (gateway.checkpointsAway) {
      gateway.refusedCheckpoints += 1;
      return send(response, 503, { error: 'away', message: 'away' });
    }
    if (gateway.checkpointsRefused) return send(response, 400, { error: 'malformed', message: 'not this' });
    const [, , , first = '', second = ''] = path.split('/');
    if (request.method === 'GET') {
      const found = gateway.checkpointObjects.get(`${first}/${second}`);
      if (!found) return send(response, 404, { error: 'not_found', message: path });
      response.writeHead(200, { 'content-length': found.length }).end(found);
      return;
    }
    if (first !== '') {
      // The life that sends it is known by its token; here there is one at a time.
      gateway.checkpointObjects.set(`${latestGeneration}/${first}`, body);
      return send(response, 201, {});
    }
    const manifest = checkpointManifestSchema.parse(JSON.parse(body.toString('utf8')));
    const newest = gateway.checkpoint;
    if (newest && newest.generation === manifest.generation && newest.sequence >= manifest.sequence) {
      return send(response, 409, { error: 'stale', message: 'stale', sequence: newest.sequence });
    }
    await new Promise((resolve) => setTimeout(resolve, gateway.checkpointDelayMs));
    gateway.checkpoint = manifest;
    gateway.checkpointStoredAt = Date.now();
    send(response, 201, {});
  }

  async function keep(request: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
    const body = await read(request);
    if (request.method === 'PUT') {
      if (key.startsWith('setup-') && gateway.cache.has(key))
        return send(response, 409, { error: 'taken', message: key });
      const isManifest = !key.includes('/');
      const manifest = () => Buffer.from(JSON.stringify({ ...JSON.parse(body.toString('utf8')), at: Date.now() }));
      gateway.cache.set(key, isManifest ? manifest() : body);
      return send(response, 201, {});
    }
    const kept = gateway.cache.get(key);
    if (!kept) return send(response, 404, { error: 'not_found', message: key });
    response.writeHead(200, { 'content-length': kept.length }).end(kept);
  }

  function takeEvents(body: Buffer, response: ServerResponse): void {
    if (gateway.eventsAway) {
      gateway.refusedBatches += 1;
      send(response, 503, { error: 'away', message: 'away' });
      return;
    }
    if (gateway.superseded) {
      send(response, 409, { error: 'superseded', message: 'another generation has taken over' });
      return;
    }
    const batch = eventBatchSchema.parse(JSON.parse(body.toString('utf8')));
    latestGeneration = batch.generation;
    gateway.batches.push({ at: Date.now(), batch, bytes: body.length });
    const events = streams.get(batch.streamId) ?? [];
    if (!streams.has(batch.streamId)) {
      streams.set(batch.streamId, events);
      latest = events;
    }
    for (const event of batch.events) {
      if (event.seq === events.length + 1) events.push(event);
    }
    if (gateway.loseAnswers > 0) {
      gateway.loseAnswers -= 1;
      response.destroy();
      return;
    }
    send(response, 200, { stored: events.length });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const gateway: GatewayStandIn = {
    url: `http://127.0.0.1:${port}/gateway`,
    token,
    get events() {
      return latest;
    },
    batches: [],
    patches: new Map(),
    checkpoint: null,
    checkpointObjects: new Map(),
    checkpointDelayMs: 0,
    checkpointStoredAt: 0,
    checkpointsAway: false,
    refusedCheckpoints: 0,
    refusedBatches: 0,
    checkpointsRefused: false,
    cache: new Map(),
    shared: [],
    away: false,
    eventsAway: false,
    superseded: false,
    loseAnswers: 0,
    refuseGit: null,
    allowedPushes: null,
    beforeGit: null,
    mcpServers: new Map(),
    awaitNewStream: () => {
      latest = [];
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  return gateway;
}

/** As Bearer token, as API key, or as the password of basic authentication. */
function tokenOf(request: IncomingMessage): string {
  const [kind, value = ''] = (request.headers.authorization ?? '').split(' ');
  if (kind === 'Bearer') return value;
  if (kind === 'Basic') return Buffer.from(value, 'base64').toString('utf8').split(':')[1] ?? '';
  return String(request.headers['x-api-key'] ?? '');
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  url: string,
  credential: Record<string, string>,
): Promise<void> {
  const { authorization: _token, 'x-api-key': _key, host: _host, ...headers } = request.headers;
  await new Promise<void>((resolve, reject) => {
    const onward = httpRequest(url, { method: request.method, headers: { ...headers, ...credential } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('end', resolve);
      answer.on('error', reject);
    });
    onward.on('error', reject);
    response.on('close', () => onward.destroy());
    response.on('close', resolve);
    request.pipe(onward);
  });
}
