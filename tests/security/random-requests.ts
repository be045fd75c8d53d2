/** Random requests over every route, by everybody: none may be answered by an error of Cyrus's own, or not at all. */
import { Agent, request as httpRequest } from 'node:http';
import { Random } from '../unit/support/random.ts';
import { randomBody, sampleOf } from './random-bodies.ts';
import { sendRaw } from './raw-http.ts';
import type { Route } from './routes.ts';
import { STRANGERS_WORKSPACE, type Target } from './target.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'TRACE'];
/** An answer may take as long on a busy machine; one that takes longer hangs. */
const LIMIT_MS = 60_000;
/** The server may wait for the rest of a body that never comes; that long is watched what it does. */
const OWED_LIMIT_MS = 5_000;
const AT_ONCE = 24;
/** Share of requests that show what their route asks for. */
const FITTING = 0.5;
const MOST_TOLD = 20;

/** What the requests are made of. */
export interface Supply {
  routes: readonly Route[];
  /** Headers by which somebody shows who they are, right and wrong. */
  credentials: readonly Record<string, string>[];
  /** The right ones for a route, by which requests get behind its door; empty: it has none. */
  fitting: (path: string) => readonly Record<string, string>[];
  /** Sessions that are there, and some that are not. */
  sessionIds: readonly string[];
  /** Bodies of webhooks that Linear sent. */
  webhooks: readonly string[];
}

export interface Outcome {
  requests: number;
  byStatus: Record<string, number>;
  /** What was answered by an error of Cyrus's own, or not at all. */
  failures: string[];
  seconds: number;
}

interface Made {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** Sent by hand: what no library would send. `owes`: it announces more than it brings, and its reader may wait. */
  raw: { bytes: Buffer; owes: boolean } | null;
}

/** Sends them. @param count how many. @param seed makes them repeatable */
export async function sendRandomRequests(
  target: Target,
  supply: Supply,
  count: number,
  seed: number,
): Promise<Outcome> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const random = new Random(seed);
  const byStatus: Record<string, number> = {};
  const failures: string[] = [];
  const since = Date.now();
  let sent = 0;
  const worker = async () => {
    while (sent < count) {
      const index = sent++;
      const made = makeRequest(target, supply, random);
      const first = await send(target, agent, made);
      // The answer to HEAD has no text by which the development server's own errors could be told from Cyrus's.
      const isUntold = made.method === 'HEAD' && typeof first.status === 'number' && first.status >= 500;
      const { status, text } = isUntold ? await send(target, agent, asGet(made)) : first;
      byStatus[status] = (byStatus[status] ?? 0) + 1;
      if (isFailure(status, text) && !(status === 'late' && made.raw?.owes) && failures.length < MOST_TOLD) {
        failures.push(
          `#${index} ${made.method} ${made.path.slice(0, 200)}${made.raw ? ' (by hand)' : ''}: ${status} ${text.slice(0, 300)}`,
        );
      }
      if ((index + 1) % 10_000 === 0) console.log(`            ${index + 1} requests, ${failures.length} failures`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  agent.destroy();
  return { requests: count, byStatus, failures, seconds: Math.round((Date.now() - since) / 1_000) };
}

/** Errors of a service behind Cyrus are told as such; the development server's own are none of Cyrus's. */
function isFailure(status: number | 'late' | 'broken', text: string): boolean {
  if (typeof status !== 'number') return status === 'late';
  return status >= 500 && !text.includes('entry.worker.js') && !/^\{"error":"(unreachable|not_supported)"/.test(text);
}

function makeRequest(target: Target, supply: Supply, random: Random): Made {
  const { routes, credentials, sessionIds, webhooks } = supply;
  const route = random.pick(routes);
  const method = route.method === 'ALL' || random.chance(0.1) ? random.pick(METHODS) : route.method;
  const reads = method === 'GET' || method === 'HEAD';
  const workspaces = reads ? [STRANGERS_WORKSPACE, target.stack.linear.workspace.id] : [STRANGERS_WORKSPACE];
  const path = pathOf(route.path, random, { sessionIds, workspaces }) + queryOf(random);
  const fitting = random.chance(FITTING) ? supply.fitting(route.path) : [];
  const shown = random.pick(fitting.length > 0 ? fitting : credentials);
  const headers: Record<string, string> = { ...shown, ...oddHeaders(random) };
  const isWebhook = route.path === '/webhooks/linear';
  const keep = (value: unknown) =>
    isWebhook && typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...value, organizationId: STRANGERS_WORKSPACE, webhookTimestamp: Date.now() }
      : value;
  const body = reads ? Buffer.alloc(0) : randomBody(sampleOf(route.path, webhooks, random), random, keep);
  if (isWebhook && random.chance(0.8)) headers['linear-signature'] = target.signature(body);
  const made = { method, path, headers, body, raw: null };
  const isOdd = /[^\x21-\x7e]/.test(path) || random.chance(0.04);
  return isOdd ? { ...made, raw: rawBytes(made, random) } : made;
}

function pathOf(
  pattern: string,
  random: Random,
  ids: { sessionIds: readonly string[]; workspaces: readonly string[] },
): string {
  return pattern.replace(/:(\w+)(\{[^/]*(?:\/[^/{]*)?\})?|\*/g, (whole, name: string | undefined) => {
    if (random.chance(0.15)) return oddSegment(random);
    if (whole.includes('mcp-servers/')) return 'shop/mcp-servers/linear';
    if (whole.includes('mcp-servers')) return 'shop/mcp-servers';
    switch (name) {
      case 'id':
        return pattern.includes('workspaces') ? random.pick(ids.workspaces) : random.pick(ids.sessionIds);
      case 'owner':
        return 'acme';
      case 'name':
        return pattern.includes('checkpoint') ? 'c'.repeat(64) : 'shop';
      case 'hash':
      case 'head':
        return random.pick(['a'.repeat(40), 'b'.repeat(64)]);
      case 'server':
        return random.pick(['linear', 'other']);
      case 'generation':
        return '1';
      case 'entry':
        return `${random.pick(['setup', 'base'])}-${'a'.repeat(64)}`;
      case 'version':
        return '5b0c2f3e-8f0a-4c62-9d6b-1f2e3d4c5b6a';
      case 'part':
        return String(random.below(3));
      default:
        return random.pick([
          'v1/messages',
          'v1/models',
          'v1/messages/count_tokens',
          'acme/shop.git/info/refs',
          'acme/shop.git/git-receive-pack',
          'acme/shop.git/git-upload-pack',
          'acme/shop.git/info/lfs/objects/batch',
          'acme/shop.git/info/lfs/objects/x',
          'aHR0cHM6Ly9naXQuZXhhbXBsZS9hL2IuZ2l0/info/refs',
          'nothing',
        ]);
    }
  });
}

function oddSegment(random: Random): string {
  return random.pick([
    '',
    '.',
    '..',
    '%2e%2e',
    '%00',
    '%ff%fe',
    '%',
    '%zz',
    'a'.repeat(3_000),
    '\u00e9',
    '\0',
    ' ',
    '%F0%9F%98%80',
    '\'"<>',
    '{}',
    '0',
    '-1',
    '99999999999999999999',
    '__proto__',
    'f'.repeat(64),
    '*',
    ';a=b',
    'a/b/c/d',
    '%2f',
  ]);
}

function queryOf(random: Random): string {
  if (random.chance(0.5)) return '';
  const name = random.pick([
    'after',
    'limit',
    'before',
    'name',
    'service',
    'state',
    'code',
    'callback',
    'check',
    'beta',
    'protocol',
    'x',
  ]);
  const value = random.pick([
    '1',
    '-1',
    '1e400',
    'NaN',
    '%00',
    '%ff',
    'a'.repeat(2_500),
    'git-upload-pack',
    'git-receive-pack',
    'credentials',
    'true',
    '[]',
    '',
    'https://evil.example',
    '9'.repeat(30),
  ]);
  return `?${name}=${value}${random.chance(0.2) ? `&${name}=${value}` : ''}`;
}

function oddHeaders(random: Random): Record<string, string> {
  const headers: Record<string, string> = {};
  const put = (share: number, name: string, values: readonly string[]) => {
    if (random.chance(share)) headers[name] = random.pick(values);
  };
  put(0.8, 'content-type', [
    'application/json',
    'application/json',
    'text/plain',
    'application/x-git-receive-pack-request',
    'application/vnd.git-lfs+json',
    'multipart/form-data',
    'a/b;;;',
    '',
  ]);
  put(0.1, 'content-encoding', ['gzip', 'br', 'identity', 'x', 'gzip, gzip']);
  put(0.1, 'origin', ['https://evil.example', 'null', 'http://localhost']);
  put(0.05, 'upgrade', ['websocket', 'h2c']);
  put(0.05, 'range', ['bytes=0-', 'bytes=-1', 'bytes=9-1', 'x']);
  put(0.1, 'cookie', ['__Host-cyrus_access=1.AA', 'cyrus_oauth=..', '=;;;=', 'a'.repeat(4_000)]);
  put(0.1, 'linear-delivery', ['', 'x'.repeat(5_000), '5b0c2f3e-8f0a-4c62-9d6b-1f2e3d4c5b6a']);
  put(0.05, 'linear-signature', ['0'.repeat(64), 'x', '']);
  put(0.05, 'anthropic-beta', ['oauth-2025-04-20', 'a'.repeat(2_000), ',,,']);
  put(0.05, 'git-protocol', ['version=2', 'version=99', 'x']);
  put(0.05, 'if-none-match', ['*', '"x"']);
  put(0.03, 'host', ['evil.example', 'localhost:1', '127.0.0.1']);
  put(0.03, 'x-forwarded-for', ['127.0.0.1', 'x']);
  put(0.03, 'authorization', [
    'Basic',
    'Bearer',
    'Basic %%%',
    `Basic ${Buffer.from('\xff\xfe').toString('base64')}`,
    'Digest x',
    'Bearer cyrus_st_.',
  ]);
  return headers;
}

const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** The request as bytes, with something wrong in how it is written. */
function rawBytes(
  { method, path, headers, body }: Omit<Made, 'raw'>,
  random: Random,
): { bytes: Buffer; owes: boolean } {
  const lines = Object.entries({ host: 'localhost', connection: 'close', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const tail: [string, Buffer][] = [
    [`content-length: ${body.length}`, body],
    [`content-length: ${body.length + 7}`, body],
    [`content-length: -1`, body],
    ['content-length: 1\r\ncontent-length: 2', body],
    [
      'transfer-encoding: chunked',
      Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]),
    ],
    ['transfer-encoding: chunked', Buffer.concat([Buffer.from('zz\r\n'), body])],
    ['transfer-encoding: chunked', Buffer.concat([Buffer.from('ffffffff\r\n'), body])],
    ['transfer-encoding: gzip', body],
    ['expect: 100-continue\r\ncontent-length: 0', Buffer.alloc(0)],
    ['x: \0', body],
    ['x', body],
  ];
  const [last, sent] = random.pick(tail);
  const owes =
    last.endsWith(`: ${body.length + 7}`) || (last.endsWith('chunked') && !sent.subarray(-5).equals(LAST_CHUNK));
  const bytes = Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${[...lines, last].join('\r\n')}\r\n\r\n`, 'latin1'),
    sent,
  ]);
  return { bytes, owes };
}

type Answer = Promise<{ status: number | 'late' | 'broken'; text: string }>;

function send(target: Target, agent: Agent, made: Made): Answer {
  const { raw } = made;
  if (raw === null) return byLibrary(target.port, agent, made);
  return byHand(target, raw.bytes, raw.owes ? OWED_LIMIT_MS : LIMIT_MS);
}

/** The same request, answered with its text. */
function asGet(made: Made): Made {
  const raw = made.raw && {
    ...made.raw,
    bytes: Buffer.from(made.raw.bytes.toString('latin1').replace(/^HEAD/, 'GET'), 'latin1'),
  };
  return { ...made, method: 'GET', raw };
}

async function byHand(target: Target, bytes: Buffer, limitMs: number): Answer {
  const { status, text, isLate } = await sendRaw(target.port, bytes, limitMs);
  return { status: isLate ? 'late' : status, text: text.slice(text.indexOf('\r\n\r\n') + 4) };
}

function byLibrary(port: number, agent: Agent, { method, path, headers, body }: Made): Answer {
  return new Promise((resolve) => {
    let isLate = false;
    const asked = httpRequest({
      host: '127.0.0.1',
      port,
      agent,
      method,
      path,
      headers: { ...headers, 'content-length': body.length },
    });
    const timer = setTimeout(() => {
      isLate = true;
      asked.destroy();
    }, LIMIT_MS);
    const done = (status: number | 'late' | 'broken', text: string) => {
      clearTimeout(timer);
      resolve({ status: isLate ? 'late' : status, text });
    };
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        if (text.length < 2_000) text += piece;
        // A stream of events goes on for minutes: that it began is its answer.
        if (!response.headers['content-type']?.startsWith('text/event-stream')) return;
        done(response.statusCode ?? 0, text);
        asked.destroy();
      });
      response.on('end', () => done(response.statusCode ?? 0, text));
      response.on('error', () => done('broken', text));
    });
    asked.on('upgrade', (response, socket) => {
      socket.destroy();
      done(response.statusCode ?? 0, '');
    });
    asked.on('error', () => done('broken', ''));
    asked.end(body);
  });
}
