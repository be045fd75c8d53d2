import { afterEach, describe, expect, it, vi } from 'vitest';
import { request } from '../../src/linear/api/request.ts';
import { log } from '../../src/observability/log.ts';
import { cutWhole, sendable, sendableData } from '../../src/protocol/text/sendable-text.ts';
import { spyOnLog } from '../support/log-spy.ts';

const NUL = String.fromCharCode(0);
const ODD = `a${NUL}b\u0007c\u0008d\u001be\u0085f\uffffg\tok\nline`;

afterEach(() => vi.restoreAllMocks());

describe('text that is sent', () => {
  it('has no control characters, and keeps tabs, line ends and everything people write', () => {
    expect(sendable(ODD)).toBe('abcdefg\tok\nline');
    const people = 'שלום\u200f עולם 👩‍👩‍👧‍👦 e\u0301 日本語';
    expect(sendable(people)).toBe(people);
  });

  it('has no half of a character, and is cut at none', () => {
    expect(sendable('x\ud83d')).toBe('x\ufffd');
    expect(sendable('\ude00y')).toBe('\ufffdy');
    for (let max = 0; max < 6; max++) expect(sendable(cutWhole('a😀😀b', max))).not.toContain('\ufffd');
  });

  it('text is sendable at every depth of what is sent to Linear, no matter who made it', async () => {
    const bodies: string[] = [];
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (_url, init) => {
      bodies.push(String(init?.body));
      return Response.json({ data: { ok: true } });
    });
    const variables = { a0: { content: { type: 'action', result: ODD, list: [ODD] } } };
    await request('https://api.linear.app/graphql', 'token', {
      document: 'mutation M { x }',
      variables,
      idempotent: false,
    });
    expect(bodies[0]).not.toMatch(/\\u00(?:0[0-8bcef]|1|7f|8|9)/i);
    expect(bodies[0]).toContain('abcdefg');
    expect(sendableData({ a: [1, null, NUL] })).toEqual({ a: [1, null, ''] });
  });

  it('is so in the log', () => {
    const lines = spyOnLog();
    log('area.thing.happened', { why: ODD, error: new Error(ODD) });
    expect(JSON.stringify(lines.mock.calls)).not.toMatch(/\\u00(?:0[0-8bcef]|1|7f)/i);
    log('area.thing.happened', { why: `${'x'.repeat(1_999)}😀${'y'.repeat(3_000)}` });
    expect(JSON.stringify(lines.mock.calls.at(-1))).not.toMatch(/\\ud83d/i);
  });
});
