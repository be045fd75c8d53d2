import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forwardToGit } from '../../../src/gateway/git/git.ts';
import type { Claims } from '../../../src/gateway/token.ts';
import { histories } from '../../histories.ts';
import { spyOnLog } from '../../support/log-spy.ts';
import { Random } from '../support/random.ts';

const claims: Claims = { s: 'a'.repeat(64), w: 'workspace', r: 'acme/shop', b: 'cyrus/eng-1', g: 1 };
const OWN = 'refs/heads/cyrus/eng-1';
const PUSHES = histories(1_000);
const zero = '0'.repeat(40);
let root: string;
let host: string;
let before: string;
let after: string;

spyOnLog();

const git = (...args: string[]) =>
  execFileSync('git', ['-C', host, ...args], {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      HOME: root,
      ...Object.fromEntries(
        ['AUTHOR', 'COMMITTER'].flatMap((who) => [
          [`GIT_${who}_NAME`, 'Cyrus'],
          [`GIT_${who}_EMAIL`, 'cyrus@example.com'],
        ]),
      ),
    },
  }).trim();

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cyrus-differential-'));
  host = join(root, 'host.git');
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', host]);
  const tree = git('hash-object', '-t', 'tree', '-w', '/dev/null');
  before = git('commit-tree', '-m', 'Before', tree);
  after = git('commit-tree', '-m', 'After', '-p', before, tree);
  for (const ref of [OWN, 'refs/heads/main', 'refs/heads/release', 'refs/tags/v1']) git('update-ref', ref, before);
  git('config', 'receive.advertisePushOptions', 'true');
  git('config', 'gc.auto', '0');
  // What the host was asked to do besides.
  writeFileSync(
    join(host, 'hooks/pre-receive'),
    `#!/bin/sh\ntest "$GIT_PUSH_OPTION_COUNT" -lt 1 2>/dev/null || echo "$GIT_PUSH_OPTION_COUNT" > "${root}/options"\n`,
  );
  chmodSync(join(host, 'hooks/pre-receive'), 0o755);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Where each ref of the host is, and whether it was given options. Then all is as it was. */
function happened(): { refs: Map<string, string>; hasOptions: boolean } {
  const names = ['heads', 'tags'].flatMap((kind) =>
    readdirSync(join(host, 'refs', kind), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(host.length + 1)),
  );
  const refs = new Map(names.map((name) => [name, readFileSync(join(host, name), 'utf8').trim()]));
  const hasOptions = existsSync(join(root, 'options'));
  rmSync(join(root, 'options'), { force: true });
  for (const name of names) if (!STANDING.includes(name)) rmSync(join(host, name));
  for (const name of STANDING) {
    if (refs.get(name) === before) continue;
    mkdirSync(dirname(join(host, name)), { recursive: true });
    writeFileSync(join(host, name), `${before}\n`);
  }
  return { refs, hasOptions };
}

const STANDING = [OWN, 'refs/heads/main', 'refs/heads/release', 'refs/tags/v1'];

/** What a real git makes of a push. */
function receive(body: Uint8Array): ReturnType<typeof happened> {
  spawnSync('git', ['receive-pack', '--stateless-rpc', host], {
    input: body,
    env: { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: '1' },
    timeout: 20_000,
  });
  return happened();
}

/** The body that the gateway sends to the host; null: it sends none. */
async function forwarded(body: Uint8Array<ArrayBuffer>): Promise<Uint8Array | null> {
  let sent: Uint8Array | null = null;
  const subpath = 'acme/shop.git/git-receive-pack';
  const request = new Request(`http://gateway.internal/git/${subpath}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-git-receive-pack-request' },
    body,
  });
  const remote = { cloneUrl: 'https://git.example/acme/shop.git', credential: null };
  await forwardToGit(request, subpath, claims, remote, async (outgoing) => {
    sent = new Uint8Array(await outgoing.arrayBuffer());
    return new Response('000eunpack ok\n0000');
  });
  return sent;
}

const pkt = (text: string) => `${(Buffer.byteLength(text, 'latin1') + 4).toString(16).padStart(4, '0')}${text}`;
const emptyPack = () => {
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  return Buffer.concat([head, createHash('sha1').update(head).digest()]);
};

/** A push as a hostile client could write it: built of what git reads, then changed in single bytes. */
function mutated(random: Random): Uint8Array<ArrayBuffer> {
  // Half of them are pushes of the one branch, nearly as git writes them.
  const isMild = random.chance(0.5);
  const others = ['refs/heads/main', 'refs/heads/release', 'refs/tags/v1', 'refs/heads/new', 'HEAD', `${OWN}\n`];
  const separators = isMild ? [' '] : [' ', ' ', ' ', '\t', '\n', '\r', '\v', '\0', '  ', ''];
  const known = ['report-status', 'side-band-64k', 'atomic', 'quiet', 'ofs-delta', 'agent=git/2', 'object-format=sha1'];
  const capabilities = isMild ? known : [...known, 'push-options', 'push-options=1', 'push-cert=x', 'x'];
  const command = () => {
    const [oldId, newId] =
      random.pick([
        [before, after],
        [before, after],
        [zero, after],
        [before, zero],
        [after, before],
      ]) ?? [];
    return `${oldId}${random.chance(0.95) ? ' ' : '\t'}${newId} ${isMild || random.chance(0.4) ? OWN : random.pick(others)}`;
  };
  const lines: string[] = [];
  for (let count = 0; count <= (isMild ? 0 : random.below(3)); count += 1) {
    if (random.chance(0.1)) lines.push(`shallow ${random.chance(0.5) ? before : 'x'}`);
    const chosen = Array.from(
      { length: random.below(4) },
      () => `${random.pick(separators)}${random.pick(capabilities)}`,
    );
    const ended = random.chance(0.3) ? '\n' : '';
    lines.push(
      `${command()}${random.chance(count === 0 ? 0.9 : 0.1) ? `\0 report-status${chosen.join('')}` : ''}${ended}`,
    );
  }
  const end = isMild ? '0000' : random.pick(['0000', '0000', '0000', '0000', '0001', '0000000d--option0000', '']);
  let head = Buffer.from(`${lines.map(pkt).join('')}${end}`, 'latin1');
  if (!isMild && random.chance(0.2)) head = Buffer.concat([head, Buffer.from(`${pkt('ci.skip=no')}0000`, 'latin1')]);
  const bytes = [...head];
  for (let change = random.chance(isMild ? 0.2 : 0.5) ? 1 + random.below(2) : 0; change > 0; change -= 1) {
    const replaced = random.chance(0.7) ? [...Buffer.from(random.pick(separators) || '0', 'latin1')] : [];
    bytes.splice(random.below(bytes.length), random.below(2), ...replaced);
  }
  return Uint8Array.from([...bytes, ...emptyPack()]);
}

it(`a real git moves the one branch or nothing, and is given no option, for ${PUSHES} pushes that were mutated: also if it would have done more for what was sent`, async () => {
  const random = new Random(4);
  const counts = { sent: 0, moved: 0, dangerous: 0, stopped: 0 };
  const isMore = ({ refs, hasOptions }: ReturnType<typeof happened>) =>
    hasOptions ||
    !refs.has(OWN) ||
    [...refs].some(([name, id]) => name !== OWN && !(STANDING.includes(name) && id === before)) ||
    STANDING.some((name) => !refs.has(name));
  for (let round = 0; round < PUSHES; round += 1) {
    const body = mutated(random);
    const sent = await forwarded(body);
    const asSent = receive(body);
    if (isMore(asSent)) {
      counts.dangerous += 1;
      if (sent === null) counts.stopped += 1;
    }
    if (sent === null) continue;
    counts.sent += 1;
    const result = receive(sent);
    expect(isMore(result), JSON.stringify(Buffer.from(body).toString('latin1'))).toBe(false);
    if (result.refs.get(OWN) === after) counts.moved += 1;
  }
  expect(counts.dangerous, JSON.stringify(counts)).toBeGreaterThan(0.1 * PUSHES);
  expect(counts.moved, JSON.stringify(counts)).toBeGreaterThan(0.03 * PUSHES);
}, 180_000);
