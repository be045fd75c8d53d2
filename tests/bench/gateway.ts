/**
 * `npm run bench:gateway`: what the way through the gateway costs, beside the direct way, in turns in one run. The Worker as a
 * deploy bundles it, in workerd with real D1 and objects; real git against a real git host. See docs/benchmarks.md.
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
import { mintToken } from '../../src/gateway/token.ts';
import { ADMIN_TOKEN, ENCRYPTION_KEY } from './cyrus.ts';
import { type Bar, conclude, median, percentile, round } from './figures.ts';
import { pushTooLarge } from './gateway-large-push.ts';
import { startWorker } from './miniflare.ts';

const REQUESTS = 400;
const WARM_UP = 50;
/** Of the size that requests of a long conversation have. */
const BODY_BYTES = 200_000;
const FETCHES = 5;
const FETCH_BYTES = 50 * 1024 * 1024;
const MOST_ADDED_MS = 5;
const LEAST_THROUGHPUT = 0.9;

const GIT = { username: 'cyrus', password: 'bench-git-password' };
const WORKSPACE = 'bench-organization';
const FULL_NAME = 'acme/large';

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const upstream = fork(join(import.meta.dirname, 'gateway-upstream.ts'));
const [{ port }] = (await once(upstream, 'message')) as [{ port: number }];
const host = await startGitHost({ root: join(folder, 'git'), ...GIT });
const worker = await startWorker(folder, { ANTHROPIC_API_URL: `http://127.0.0.1:${port}`, PAUSED: 'false' });
try {
  await makeRepository();
  await configureRepository();
  const claims = { s: 'a'.repeat(64), w: WORKSPACE, r: FULL_NAME, b: 'cyrus/eng-1', g: 1 };
  const token = await mintToken({ encryptionKey: ENCRYPTION_KEY }, claims);
  const latency = await measureLatency(token);
  const fetching = await measureFetch(token);
  const largePush = await pushTooLarge(folder, `${worker.url}/gateway/git/${FULL_NAME}.git`, basic('cyrus', token));
  const bars: Bar[] = [
    {
      bar: `less than ${MOST_ADDED_MS} ms added to the first streamed byte (median)`,
      measured: latency.addedMs,
      holds: latency.addedMs < MOST_ADDED_MS,
    },
    {
      bar: `at least ${LEAST_THROUGHPUT} of the direct throughput on a fetch of 50 MiB`,
      measured: fetching.share,
      holds: fetching.share >= LEAST_THROUGHPUT,
    },
    {
      bar: 'a push of more than 1 GiB is refused in words that git prints',
      measured: largePush.isRefusedInWords ? 1 : 0,
      holds: largePush.isRefusedInWords,
    },
  ];
  conclude({ bench: 'gateway', requests: REQUESTS, bodyBytes: BODY_BYTES, latency, fetching, largePush }, bars);
} finally {
  upstream.kill();
  await worker.miniflare.dispose();
  await host.close();
  rmSync(folder, { recursive: true, force: true });
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

async function configureRepository(): Promise<void> {
  const [owner, name] = FULL_NAME.split('/');
  await admin('PUT', `/api/admin/workspaces/${WORKSPACE}`, {
    name: 'Bench',
    urlKey: 'bench',
    appUserId: 'app-user',
    accessToken: 'lin_oauth_bench',
  });
  await admin('PUT', `/api/admin/workspaces/${WORKSPACE}/repositories/${owner}/${name}`, {
    cloneUrl: host.cloneUrl(FULL_NAME),
    baseBranch: 'main',
    credential: GIT,
  });
}

async function admin(method: string, path: string, body: object): Promise<void> {
  const response = await fetch(worker.url + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${await response.text()}`);
}

async function measureLatency(token: string) {
  const ways = {
    direct: {
      url: `http://127.0.0.1:${port}/v1/messages`,
      agent: new Agent({ keepAlive: true }),
      times: [] as number[],
    },
    gateway: {
      url: `${worker.url}/gateway/anthropic/v1/messages`,
      agent: new Agent({ keepAlive: true }),
      times: [] as number[],
    },
  };
  // A conversation of many short blocks, as the CLI sends it: the gateway reads each of them.
  const block = { type: 'text', text: 'x'.repeat(380) };
  const content = Array.from({ length: BODY_BYTES / 400 }, () => block);
  const body = JSON.stringify({ model: 'claude-sonnet-5-5', stream: true, messages: [{ role: 'user', content }] });
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
  return { direct: figures(ways.direct.times), gateway: figures(ways.gateway.times), addedMs: round(median(added)) };
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
  const shares = ways.gateway.seconds.map((seconds, index) => (ways.direct.seconds[index] ?? 0) / seconds);
  return {
    packMiB: round(bytes / 1024 ** 2, 1),
    directMiBPerSecond: perSecond(ways.direct.seconds),
    gatewayMiBPerSecond: perSecond(ways.gateway.seconds),
    share: round(median(shares)),
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
