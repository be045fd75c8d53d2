/**
 * What `bench:webhook` measures Cyrus against: the least a Worker can do and still answer for a webhook. It checks the
 * signature and commits one row in the issue's Durable Object; it reads nothing of the body.
 */
import { DurableObject } from 'cloudflare:workers';

interface Bindings {
  LINEAR_WEBHOOK_SECRET: string;
  DELIVERIES: { getByName(name: string): { note(deliveryId: string, at: number): Promise<void> } };
}

/** The deliveries of one issue. */
export class Deliveries extends DurableObject<Bindings> {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS deliveries (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT');
  }

  note(deliveryId: string, at: number): void {
    this.ctx.storage.sql.exec('INSERT OR IGNORE INTO deliveries (id, at) VALUES (?, ?)', deliveryId, at);
  }
}

let key: CryptoKey | undefined;

export default {
  async fetch(request: Request, env: Bindings): Promise<Response> {
    const body = await request.arrayBuffer();
    key ??= await crypto.subtle.importKey(
      'raw',
      new TextEncoder().encode(env.LINEAR_WEBHOOK_SECRET),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['verify'],
    );
    const signature = Uint8Array.from(request.headers.get('linear-signature')?.match(/../g) ?? [], (hex) =>
      Number.parseInt(hex, 16),
    );
    if (!(await crypto.subtle.verify('HMAC', key, signature, body))) return new Response(null, { status: 401 });
    // A header of the benchmark names the issue, so that the body need not be parsed.
    const issue = request.headers.get('x-bench-issue') ?? '';
    await env.DELIVERIES.getByName(issue).note(request.headers.get('linear-delivery') ?? '', Date.now());
    return Response.json({ outcome: 'accepted' });
  },
};
