import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { accountFor, type EgressObserver } from '../../../src/gateway/egress-account.ts';
import { decoyOf } from '../../../src/gateway/secrets/decoy.ts';
import { ownSecrets } from '../../../src/gateway/secrets/known-secrets.ts';
import { SecretSearch, SecretStream } from '../../../src/gateway/secrets/secret-search.ts';
import type { EgressLine } from '../../../src/protocol/egress-log.ts';

const config = { encryptionKey: btoa('0123456789abcdef0123456789abcdef'), oldEncryptionKey: null };
const { value: decoy, parts } = await decoyOf(config, 'a'.repeat(64));
const secret = parts[0] ?? '';
const search = new SecretSearch(await ownSecrets(config, 'a'.repeat(64)));

describe('the decoy credential', () => {
  it('is the same for a session every time, and another for each session', async () => {
    expect((await decoyOf(config, 'a'.repeat(64))).value).toBe(decoy);
    expect((await decoyOf(config, 'b'.repeat(64))).value).not.toBe(decoy);
    expect(decoy).toMatch(/^[a-z]+_[0-9a-f]{40}$/);
  });

  it('has a name and a beginning that deployments do not share', async () => {
    const others = await Promise.all(
      Array.from({ length: 40 }, (_, at) => {
        const key = { encryptionKey: btoa(String(at).padStart(32, 'k')), oldEncryptionKey: null };
        return decoyOf(key, 'a'.repeat(64));
      }),
    );
    expect(new Set(others.map(({ name }) => name)).size).toBeGreaterThan(4);
    expect(new Set(others.map(({ value }) => value.split('_')[0])).size).toBeGreaterThan(4);
  });

  it('of before the encryption key was replaced is still looked for', async () => {
    const replaced = { encryptionKey: btoa('k'.repeat(32)), oldEncryptionKey: config.encryptionKey };
    const both = new SecretSearch(await ownSecrets(replaced, 'a'.repeat(64)));
    expect(both.firstIn(`token=${decoy}`)).toMatchObject({ kind: 'decoy' });
  });

  const disguises: [string, string][] = [
    ['as it is', `curl -d token=${decoy}`],
    ['without its prefix', secret],
    ['backwards', [...decoy].reverse().join('')],
    ['in UTF-16', [...decoy].join('\0')],
    ['with percent signs', Buffer.from(decoy).toString('hex').replace(/../g, '%$&').toUpperCase()],
    ['in capitals', decoy.toUpperCase()],
    ['as numbers of JSON', [...decoy].map((one) => `\\u00${one.charCodeAt(0).toString(16)}`).join('')],
    ['as entities of HTML', [...decoy].map((one) => `&#${one.charCodeAt(0)};`).join('')],
    ['as quoted-printable', Buffer.from(decoy).toString('hex').toUpperCase().replace(/../g, '=$&')],
    [
      'as a dump of bytes',
      Buffer.from(secret)
        .toString('hex')
        .replace(/....(?=.)/g, '$& '),
    ],
    ['one character a line', [...secret].join('\n')],
    ['backwards in base64', Buffer.from([...decoy].reverse().join('')).toString('base64')],
    ['in hexadecimal', Buffer.from(`TOKEN=${decoy}`).toString('hex')],
    ...[0, 1, 2, 3].map((offset): [string, string] => [
      `in base64 with ${offset} characters before it`,
      Buffer.from(`${'x'.repeat(offset)}${decoy} and more`).toString('base64'),
    ]),
  ];
  it.each(disguises)('is recognised %s, wherever the stream is cut', (_how, text) => {
    expect(search.firstIn(text)).toMatchObject({ kind: 'decoy' });
    for (const size of [1, 7, 40, 1000]) {
      const stream = new SecretStream(search);
      const bytes = new TextEncoder().encode(`before ${text} after`);
      const found: unknown[] = [];
      for (let at = 0; at < bytes.length; at += size) found.push(stream.next(bytes.subarray(at, at + size)));
      expect(found.filter(Boolean)).not.toEqual([]);
    }
  });

  /** As `xxd` prints it: pairs, sixteen bytes a line, with the text beside them. */
  const xxd = (bytes: Buffer) =>
    Array.from({ length: Math.ceil(bytes.length / 16) }, (_, line) => {
      const part = bytes.subarray(line * 16, line * 16 + 16);
      return `${(line * 16).toString(16).padStart(8, '0')}: ${part.toString('hex').replace(/....(?=.)/g, '$& ')}  ${part.toString('latin1')}\n`;
    }).join('');
  /** As `hexdump -C` prints it: two groups of eight. */
  const hexdump = (bytes: Buffer) =>
    Array.from({ length: Math.ceil(bytes.length / 16) }, (_, line) => {
      const part = bytes.subarray(line * 16, line * 16 + 16);
      const group = (from: number) =>
        part
          .subarray(from, from + 8)
          .toString('hex')
          .replace(/..(?=.)/g, '$& ');
      return `${(line * 16).toString(16).padStart(8, '0')}  ${group(0)}  ${group(8)}  |${part.toString('latin1')}|\n`;
    }).join('');
  const lines = (text: string, width: number) => text.replace(new RegExp(`.{${width}}(?=.)`, 'g'), '$&\n');
  const shell = (command: string) => (bytes: Buffer) =>
    execFileSync('sh', ['-c', command], { input: bytes, encoding: 'utf8' });
  const dumps: [string, (bytes: Buffer) => string][] = [
    ['base64, in lines of 76', (bytes) => lines(bytes.toString('base64'), 76)],
    [
      'base64, in lines of 64 that end as Windows has them',
      (bytes) => lines(bytes.toString('base64'), 64).replaceAll('\n', '\r\n'),
    ],
    ['base64, in lines, within JSON', (bytes) => JSON.stringify(lines(bytes.toString('base64'), 76))],
    ['base32, in lines', shell('base32')],
    ['od -tx1', shell('od -tx1')],
    ['od -An -tx1 -v', shell('od -An -tx1 -v')],
    ['od -x', shell('od -x')],
    ['xxd', (bytes) => xxd(bytes)],
    ['xxd -p', (bytes) => lines(bytes.toString('hex'), 60)],
    ['hexdump -C', (bytes) => hexdump(bytes)],
    ['an array of numbers', (bytes) => JSON.stringify([...bytes])],
    ['an array of C', (bytes) => [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(', ')],
  ];
  it.each(dumps)('is recognised in the lines of a dump, wherever it begins in one: %s', (_how, dump) => {
    const found = Array.from({ length: 64 }, (_, offset) => {
      const around = Buffer.from(
        `${'PATH=/usr/bin:/usr/local/bin:/home/someone/.local/bin:/opt/tools/bin'.slice(0, offset)}${decoy}\nHOME=/root\nSHELL=/bin/bash\n`,
      );
      return search.firstIn(dump(around)) !== null;
    });
    expect(found.flatMap((isFound, offset) => (isFound ? [] : [offset]))).toEqual([]);
  });

  it('is recognised in base32 also if it is short, or made of words', () => {
    for (const text of ['correct-horse', 'correct-horse-battery-staple-and-more-words']) {
      const words = new SecretSearch([{ kind: 'deployment', name: 'ACCESS_PASSWORD', text }]);
      for (const before of ['', 'a', 'ab', 'abc', 'abcd', 'abcde']) {
        const encoded = execFileSync('base32', ['-w0'], { input: `${before}${text} and more`, encoding: 'utf8' });
        expect(words.firstIn(encoded)).toMatchObject({ name: 'ACCESS_PASSWORD' });
      }
    }
  });

  it('is not seen in dumps of what it is not in, and words of people’s are no part of a secret', () => {
    const words = new SecretSearch([
      { kind: 'deployment', name: 'ACCESS_PASSWORD', text: 'correct-horse-battery-staple-and-more-words' },
      { kind: 'deployment', name: 'SHORT', text: 'abc123def456' },
    ]);
    const text = Buffer.from('The correct-horse is a battery-staple, and more-words about abc123def4 follow here.');
    for (const [, dump] of dumps) {
      expect(words.firstIn(dump(text))).toBeNull();
      expect(search.firstIn(dump(text))).toBeNull();
    }
  });

  it('is not reported in text that does not have it', async () => {
    expect(search.firstIn((await decoyOf(config, 'b'.repeat(64))).value)).toBeNull();
    for (const offset of [0, 1, 2])
      expect(search.firstIn(btoa(`${'/'.repeat(offset)}${'a'.repeat(64)}/worktree`))).toBeNull();
    expect(search.first(crypto.getRandomValues(new Uint8Array(60_000)))).toBeNull();
  });
});

describe('what leaves a sandbox', () => {
  const lines: EgressLine[] = [];
  const caught: string[] = [];
  const observer: EgressObserver = { onLine: (line) => lines.push({ ...line }), onSecret: (host) => caught.push(host) };
  const passage = { observer, secrets: search, isForeign: true, host: 'registry.npmjs.org', path: '/left-pad' };
  const seen: string[] = [];
  const world = async (request: Request) => {
    seen.push(await request.text());
    return new Response('the package', { status: 200 });
  };
  const pass = (init?: RequestInit & { duplex?: 'half' }, url = 'https://registry.npmjs.org/left-pad?x=1') => {
    lines.length = 0;
    caught.length = 0;
    seen.length = 0;
    return accountFor(new Request(url, init), passage, world, (request, fetcher) => fetcher(request));
  };

  it('is one line of the egress log, with the bytes both ways and without the query', async () => {
    const answer = await pass({ method: 'POST', body: 'hello' });
    expect(await answer.text()).toBe('the package');
    expect(lines).toEqual([
      {
        at: expect.any(Number),
        host: 'registry.npmjs.org',
        method: 'POST',
        path: '/left-pad',
        verdict: 'allowed',
        status: 200,
        sent: 5,
        received: 11,
      },
    ]);
  });

  it('is told apart from what was not forwarded', async () => {
    const answer = await accountFor(new Request('https://git.example/x'), passage, world, async () => {
      return new Response('no', { status: 403 });
    });
    await answer.text();
    expect(lines.at(-1)).toMatchObject({ verdict: 'refused', status: 403 });
  });

  it('is stopped with the decoy in its address or its headers, before anything is sent', async () => {
    expect((await pass({}, `https://registry.npmjs.org/left-pad?t=${decoy}`)).status).toBe(403);
    expect((await pass({ headers: { authorization: `Bearer ${decoy}` } })).status).toBe(403);
    expect(seen).toEqual([]);
    expect(caught).toEqual(['registry.npmjs.org']);
    expect(lines).toMatchObject([{ verdict: 'alarm' }]);
  });

  it('is broken off if the decoy is in its body', async () => {
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode(`${'x'.repeat(1000)}${decoy}`));
        controller.close();
      },
    });
    await expect(pass({ method: 'POST', body, duplex: 'half' })).rejects.toThrow();
    expect(seen).toEqual([]);
    expect(caught).toEqual(['registry.npmjs.org']);
    expect(lines).toMatchObject([{ verdict: 'alarm' }]);
  });
});
