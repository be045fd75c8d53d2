import { describe, expect, it } from 'vitest';
import { forwardOut } from '../../../src/gateway/egress.ts';
import { egressSchema } from '../../../src/protocol/settings/egress.ts';
import { MAX_AUDIT_BYTES } from '../../../src/protocol/settings/registries.ts';

const rules = { session: 's', repository: 'acme/shop', egress: egressSchema.parse({ hosts: ['api.example.com'] }) };

/** The world: notes what it is asked. */
function world(answer: () => Response) {
  const asked: Request[] = [];
  const fetcher = async (request: Request) => {
    asked.push(request);
    return answer();
  };
  return { asked, fetcher };
}

describe('A request that leaves a container', () => {
  it('passes to an allowed host as it is, without headers of the connection', async () => {
    const { asked, fetcher } = world(() => new Response('fine', { status: 201 }));
    const headers = { 'x-mine': '1', 'cf-connecting-ip': '10.0.0.1', te: 'trailers' };
    const answer = await forwardOut(new Request('https://api.example.com/a?b=c', { headers }), rules, fetcher);
    expect([answer.status, await answer.text()]).toEqual([201, 'fine']);
    expect(asked[0]?.url).toBe('https://api.example.com/a?b=c');
    expect([...(asked[0]?.headers ?? [])]).toEqual([['x-mine', '1']]);
  });

  it('follows no redirect: where it leads is judged when it is asked for', async () => {
    const { asked, fetcher } = world(
      () => new Response(null, { status: 302, headers: { location: 'https://evil.net/' } }),
    );
    const answer = await forwardOut(new Request('https://api.example.com/'), rules, fetcher);
    expect(answer.status).toBe(302);
    expect(asked.map((request) => request.redirect)).toEqual(['manual']);
  });

  it('to another host goes nowhere and is answered in words', async () => {
    const { asked, fetcher } = world(() => new Response());
    const answer = await forwardOut(
      new Request('https://example.com/a', { method: 'POST', body: 'x' }),
      rules,
      fetcher,
    );
    expect(answer.status).toBe(403);
    expect(answer.headers.get('x-cyrus-egress')).toBe('blocked-host');
    expect(await answer.text()).toContain('settings.egress.hosts of acme/shop');
    expect(asked).toEqual([]);
  });

  it('passes as npm’s audit if it is no larger than a question, whatever its header says', async () => {
    const { asked, fetcher } = world(() => new Response('{}'));
    const audit = async (bytes: number) => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (let left = bytes; left > 0; left -= 1_000) controller.enqueue(new Uint8Array(Math.min(left, 1_000)));
          controller.close();
        },
      });
      const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' };
      const url = 'https://registry.npmjs.org/-/npm/v1/security/advisories/bulk';
      return (await forwardOut(new Request(url, init), rules, fetcher)).status;
    };
    expect(await audit(MAX_AUDIT_BYTES)).toBe(200);
    expect((await asked[0]?.arrayBuffer())?.byteLength).toBe(MAX_AUDIT_BYTES);
    expect(await audit(MAX_AUDIT_BYTES + 1)).toBe(413);
    expect(asked).toHaveLength(1);
  });

  it('to an allowed host that cannot be reached is answered 502, in words', async () => {
    const fetcher = () => Promise.reject(new Error('connection refused'));
    const answer = await forwardOut(new Request('https://api.example.com/'), rules, fetcher);
    expect(answer.status).toBe(502);
    expect(await answer.text()).toContain('api.example.com');
  });
});
