/** Bodies that are nearly right, and bodies that are nothing. */
import { gzipSync } from 'node:zlib';
import type { Random } from '../unit/support/random.ts';
import { pushOf } from './token-attacks.ts';

const UUID = '5b0c2f3e-8f0a-4c62-9d6b-1f2e3d4c5b6a';

/** Something that its route would take, by what the route's path ends with; of a route that is not named here, anything. */
export function sampleOf(path: string, webhooks: readonly string[], random: Random): unknown {
  if (path.endsWith('/webhooks/linear')) return webhooks.length > 0 ? JSON.parse(random.pick(webhooks)) : {};
  if (path.endsWith('/events')) {
    const events = [
      {
        seq: 1 + random.below(9),
        at: 0,
        type: random.pick(['notice', 'line', 'saved', 'failed']),
        text: 'x',
        line: '{}',
      },
    ];
    return { protocol: 2, generation: 1, bootId: UUID, streamId: UUID, events };
  }
  if (path.endsWith('/prompts')) return { id: UUID, text: '[script: no-change]' };
  if (path.endsWith('/stop')) return { id: UUID };
  if (path.endsWith('/settings')) return { allowTeams: [], denyUsers: [] };
  if (path.endsWith('/checkpoint')) return { generation: 1, sequence: 1, repository: 'acme/shop', objects: [] };
  if (path.includes('/anthropic'))
    return { model: 'sonnet', max_tokens: 1, messages: [{ role: 'user', content: 'Hello' }] };
  if (path.includes('/mcp'))
    return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'get_issue', arguments: {} } };
  if (path.includes('/cache')) return { version: UUID, parts: [1, 2] };
  if (path.endsWith('/mcp-servers/[^/]+}')) return { kind: 'http', url: 'https://mcp.example/', headers: { a: 'b' } };
  if (path.includes('/repositories'))
    return { cloneUrl: 'https://git.example/a/b.git', baseBranch: 'main', settings: {} };
  if (path.includes('/sandbox-secrets')) return { secret: 'a-secret-of-a-server-0123' };
  if (path.endsWith('/workspaces/:id')) return { name: 'A', urlKey: 'a', appUserId: UUID, accessToken: 'lin_oauth_x' };
  return { a: [1, { b: null }] };
}

const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1e308,
  -0.5,
  9_007_199_254_740_992,
  '',
  'x'.repeat(70_000),
  '\0',
  '\ud800',
  '\u202e\u200b\u{e0041}',
  '../../etc/passwd',
  '<script>alert(1)</script>',
  "' OR 1=1 --",
  '__proto__',
  [],
  {},
  [[[[[[[[]]]]]]]],
  { constructor: { prototype: {} } },
  'http://169.254.169.254/',
  'javascript:alert(1)',
  'http://%',
  'https://[::1',
];

/** A value with something in it changed, left out, added or put twice. */
function mutated(value: unknown, random: Random, depth = 0): unknown {
  if (random.chance(0.12) || depth > 6) return random.pick(ODD);
  if (Array.isArray(value)) {
    const items = value.map((item) => mutated(item, random, depth + 1));
    return random.chance(0.1) ? [...items, ...items, random.pick(ODD)] : items;
  }
  if (typeof value !== 'object' || value === null) return random.chance(0.15) ? random.pick(ODD) : value;
  const entries = Object.entries(value)
    .filter(() => !random.chance(0.08))
    .map(([name, inner]): [string, unknown] => [name, mutated(inner, random, depth + 1)]);
  if (random.chance(0.1)) entries.push([String(random.pick(ODD)).slice(0, 100), random.pick(ODD)]);
  return Object.fromEntries(entries);
}

/** @param keep what of a webhook must stay as it is; see the caller */
export function randomBody(sample: unknown, random: Random, keep: (value: unknown) => unknown): Buffer {
  const json = () => Buffer.from(JSON.stringify(keep(mutated(sample, random))) ?? '');
  switch (random.below(17)) {
    case 0:
      return Buffer.alloc(0);
    case 1:
      return Buffer.from(JSON.stringify(keep(sample)));
    case 2: {
      const whole = json();
      return whole.subarray(0, random.below(whole.length + 1));
    }
    case 3:
      return Buffer.from(`${'['.repeat(1 + random.below(20_000))}`);
    case 4:
      return Buffer.from(`${'{"a":'.repeat(1 + random.below(5_000))}1`);
    case 5:
      return Buffer.from(random.bytes(random.below(400)));
    case 6:
      return Buffer.from(JSON.stringify(keep(sample)), 'utf16le');
    case 7:
      return Buffer.concat([Buffer.from('\ufeff'), json(), Buffer.from([0xff, 0xc0, 0])]);
    case 8:
      return gzipSync(json());
    case 9:
      return Buffer.from(JSON.stringify(random.pick(ODD)) ?? 'undefined');
    case 10:
      return Buffer.from(
        pushOf(random.pick(['refs/heads/main', 'refs/heads/cyrus/eng-1', '\0', '']), ' report-status'),
      );
    case 11:
      return Buffer.alloc(
        random.chance(0.02) ? 6 * 1024 * 1024 : random.below(90_000),
        random.pick(['a', ' ', '<', '\r', '\0']),
      );
    case 12: {
      const deep = 1 + random.below(20_000);
      const nested = random.chance(0.5)
        ? `${'['.repeat(deep)}${']'.repeat(deep)}`
        : `${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}`;
      // In place of something that its route would take.
      const text = JSON.stringify(keep(sample));
      return Buffer.from(text.replace(/(?<=[:,[])(?:\{\}|\[\]|"[^"]*"|\d+)(?=[,}\]])/, () => nested));
    }
    default:
      return json();
  }
}
