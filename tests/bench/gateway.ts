/**
 * `npm run bench:gateway`: what the way through the gateway costs, beside the direct way and that through a Worker which only hands on
 * (gateway-minimal.js), in turns in one run. The Worker as a deploy bundles it, in workerd with real D1 and objects; a session that
 * is at work; real git against a real git host. See docs/benchmarks.md.
 */
import { execFile, fork } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runGit } from '../../dev/git/git-command.ts';
import { startGitHost } from '../../dev/git/git-host.ts';
import { ClaudeRequestReader, modelsOf } from '../../src/gateway/claude/request.ts';
import { egressPageSchema } from '../../src/protocol/egress-log.ts';
import { type Bar, conclude, median, percentile, round } from './figures.ts';
import { pushTooLarge } from './gateway-large-push.ts';
import { startMinimal, startWorker } from './miniflare.ts';
import { BOOT_ID, beginSession, STREAM_ID, startOutside } from './session-outside.ts';

const REQUESTS = 400;
const WARM_UP = 50;
/** Of the size that requests of a long conversation have. */
const BODY_BYTES = 200_000;
const FETCHES = 5;
const FETCH_BYTES = 50 * 1024 * 1024;
const MOST_ADDED_MS = 5;
const LEAST_THROUGHPUT = 0.9;

const GIT = { username: 'cyrus', password: 'bench-git-password' };
const FULL_NAME = 'acme/shop';

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const upstream = fork(join(import.meta.dirname, 'gateway-upstream.ts'));
const [{ port }] = (await once(upstream, 'message')) as [{ port: number }];
const host = await startGitHost({ root: join(folder, 'git'), ...GIT });
const outside = await startOutside();
const worker = await startWorker(folder, {
  ANTHROPIC_API_URL: `http://127.0.0.1:${port}`,
  LINEAR_API_URL: `${outside.url}/graphql`,
  SANDBOX_ENDPOINT_URL: outside.url,
  PAUSED: 'false',
});
const minimal = await startMinimal({ API: `http://127.0.0.1:${port}`, GIT: new URL(host.cloneUrl(FULL_NAME)).origin });
try {
  await makeRepository();
  const { id, start } = await beginSession(worker.url, outside, host.cloneUrl(FULL_NAME), GIT);
  const { token } = start.gateway;
  await beAtWork(start.generation, token);
  const latency = await measureLatency(token);
  const fetching = await measureFetch(token);
  const largePush = await pushTooLarge(folder, `${worker.url}/gateway/git/${FULL_NAME}.git`, basic('cyrus', token));
  const egressLines = await egressOf(id);
  const bars: Bar[] = [
    {
      bar: `less than ${MOST_ADDED_MS} ms added to the first streamed byte (median)`,
      measured: latency.addedMs,
      holds: latency.addedMs < MOST_ADDED_MS,
    },
    {
      bar: `at least ${LEAST_THROUGHPUT} of the minimal Worker's throughput on a fetch of 50 MiB`,
      measured: fetching.share,
      holds: fetching.share >= LEAST_THROUGHPUT,
    },
    { bar: 'what left the sandbox is in its egress log', measured: egressLines, holds: egressLines > REQUESTS },
    {
      bar: 'a push of more than 1 GiB is refused in words that git prints',
      measured: largePush.isRefusedInWords ? 1 : 0,
      holds: largePush.isRefusedInWords,
    },
  ];
  const parsing = measureParsing();
  conclude(
    { bench: 'gateway', requests: REQUESTS, bodyBytes: BODY_BYTES, latency, parsing, fetching, egressLines, largePush },
    bars,
  );
} finally {
  upstream.kill();
  await worker.miniflare.dispose();
  await minimal.miniflare.dispose();
  outside.close();
  await host.close();
  rmSync(folder, { recursive: true, force: true });
}

/** The sandbox tells that Claude is at work. */
async function beAtWork(generation: number, token: string): Promise<void> {
  const events = [{ type: 'cli-started', pid: 1, resumed: false, seq: 1, at: Date.now() }];
  const response = await fetch(`${worker.url}/gateway/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ protocol: 2, generation, bootId: BOOT_ID, streamId: STREAM_ID, events }),
  });
  if (!response.ok) throw new Error(`a batch was answered ${response.status}: ${await response.text()}`);
}

/** Requests that the session's egress log has counted. */
async function egressOf(id: string): Promise<number> {
  // Lines are gathered for a moment.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const { total } = egressPageSchema.parse(await (await fetch(`${worker.url}/api/sessions/${id}/egress`)).json());
  return total;
}

async function makeRepository(): Promise<void> {
  const file = (name: string, content: Buffer | string) => ({ [name]: String(content) });
  // Base64 of random bytes: nothing that compression could take away for free.
  const parts = Array.from({ length: 50 }, (_, index) =>
    file(`part-${index}.txt`, randomBytes(FETCH_BYTES / 50).toString('base64')),
  );
  const author = { name: 'Ada', email: 'ada@example.com' };
  await host.ensureRepository(FULL_NAME, {
    branch: 'main',
    commits: [{ message: 'Start', author, at: 1_700_000_000, files: Object.assign({}, ...parts) }],
  });
}

/** A conversation of many short blocks, as the CLI sends it: the gateway reads each of them. */
function conversation(): string {
  const block = { type: 'text', text: 'x'.repeat(380) };
  const content = Array.from({ length: BODY_BYTES / 400 }, () => block);
  return JSON.stringify({ model: 'claude-sonnet-5-5', stream: true, messages: [{ role: 'user', content }] });
}

/** What reading one such body costs, by itself and in this process: a part of what the gateway adds. */
function measureParsing() {
  const bytes = new TextEncoder().encode(conversation());
  const times = Array.from({ length: WARM_UP + REQUESTS }, () => {
    const reader = new ClaudeRequestReader({ betas: [], keys: [], tools: [], models: [] }, modelsOf(['sonnet']));
    const begin = performance.now();
    reader.take(bytes);
    reader.end();
    return performance.now() - begin;
  });
  return { medianMs: round(median(times.slice(WARM_UP))) };
}

async function measureLatency(token: string) {
  const ways = {
    direct: {
      url: `http://127.0.0.1:${port}/v1/messages`,
      agent: new Agent({ keepAlive: true }),
      times: [] as number[],
    },
    minimal: { url: `${minimal.url}/v1/messages`, agent: new Agent({ keepAlive: true }), times: [] as number[] },
    gateway: {
      url: `${worker.url}/gateway/anthropic/v1/messages`,
      agent: new Agent({ keepAlive: true }),
      times: [] as number[],
    },
  };
  const body = conversation();
  for (let sent = 0; sent < REQUESTS + WARM_UP; sent += 1) {
    for (const way of Object.values(ways)) {
      const time = await firstByte(way.url, way.agent, token, body);
      if (sent >= WARM_UP) way.times.push(time);
    }
  }
  for (const { agent } of Object.values(ways)) agent.destroy();
  const figures = (times: number[]) => ({
    medianMs: round(median(times)),
    p99Ms: round(
      percentile(
        times.toSorted((a, b) => a - b),
        0.99,
      ),
    ),
  });
  // Each request through the gateway beside the direct one before it.
  const added = ways.gateway.times.map((time, index) => time - (ways.direct.times[index] ?? 0));
  const beside = ways.gateway.times.map((time, index) => time - (ways.minimal.times[index] ?? 0));
  return {
    direct: figures(ways.direct.times),
    minimal: figures(ways.minimal.times),
    gateway: figures(ways.gateway.times),
    addedMs: round(median(added)),
    addedToMinimalMs: round(median(beside)),
  };
}

/** Milliseconds from the request to the first byte of the answer's body; the rest is read before it returns. */
function firstByte(url: string, agent: Agent, token: string, body: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const begin = performance.now();
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-request': randomUUID(),
  };
  const request = httpRequest(url, { method: 'POST', agent, headers }, (response) => {
    let first: number | null = null;
    response.on('data', () => {
      first ??= performance.now() - begin;
    });
    response.once('end', () => {
      if (response.statusCode === 200 && first !== null) resolve(first);
      else reject(new Error(`${url} was answered ${response.statusCode}`));
    });
  });
  request.once('error', reject);
  request.end(body);
  return promise;
}

async function measureFetch(token: string) {
  const ways = {
    direct: { url: host.cloneUrl(FULL_NAME), credential: basic(GIT.username, GIT.password), seconds: [] as number[] },
    minimal: {
      url: `${minimal.url}/git${new URL(host.cloneUrl(FULL_NAME)).pathname}`,
      credential: basic(GIT.username, GIT.password),
      seconds: [] as number[],
    },
    gateway: {
      url: `${worker.url}/gateway/git/${FULL_NAME}.git`,
      credential: basic('cyrus', token),
      seconds: [] as number[],
    },
  };
  let bytes = 0;
  for (let number = 0; number <= FETCHES; number += 1) {
    for (const [name, way] of Object.entries(ways)) {
      const clone = join(folder, `${name}-${number}`);
      await runGit(['init', '--quiet', '--bare', clone]);
      const begin = performance.now();
      // Compared is the way, so what both ways cost alike is kept small: the pack is stored as it comes.
      await promisify(execFile)(
        'git',
        [
          '-c',
          `http.extraHeader=Authorization: Basic ${way.credential}`,
          '-c',
          'fetch.unpackLimit=1',
          'fetch',
          '--quiet',
          way.url,
          'main',
        ],
        {
          cwd: clone,
          env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' },
        },
      );
      // The first one of each warms up.
      if (number > 0) way.seconds.push((performance.now() - begin) / 1_000);
      bytes = packBytes(clone);
      rmSync(clone, { recursive: true, force: true });
    }
  }
  const perSecond = (seconds: number[]) => round(bytes / 1024 ** 2 / median(seconds), 1);
  const sharesOf = (other: number[]) => ways.gateway.seconds.map((seconds, index) => (other[index] ?? 0) / seconds);
  return {
    packMiB: round(bytes / 1024 ** 2, 1),
    directMiBPerSecond: perSecond(ways.direct.seconds),
    minimalMiBPerSecond: perSecond(ways.minimal.seconds),
    gatewayMiBPerSecond: perSecond(ways.gateway.seconds),
    share: round(median(sharesOf(ways.minimal.seconds))),
    shareOfDirect: round(median(sharesOf(ways.direct.seconds))),
  };
}

function basic(user: string, password: string): string {
  return Buffer.from(`${user}:${password}`).toString('base64');
}

function packBytes(clone: string): number {
  const packs = join(clone, 'objects/pack');
  const names = readdirSync(packs).filter((name) => name.endsWith('.pack'));
  return names.reduce((sum, name) => sum + readFileSync(join(packs, name)).byteLength, 0);
}
