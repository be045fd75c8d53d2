import { env, exports } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { spyOnLog } from '../support/log-spy.ts';

spyOnLog();
vi.spyOn(console, 'error').mockImplementation(() => {});

describe('every answer of the Worker', () => {
  it.each([
    ['GET', '/health'],
    ['GET', '/api/sessions'],
    ['GET', '/api/nothing'],
    ['GET', '/api/admin/workspaces'],
    ['POST', '/webhooks/linear'],
    ['POST', '/gateway/events'],
    ['GET', '/gateway/git/acme/shop.git/info/refs'],
    ['GET', '/install'],
    ['GET', '/oauth/callback'],
  ])('may not be framed, sniffed or kept by a cache: %s %s', async (method, path) => {
    const response = await exports.default.fetch(`https://localhost${path}`, { method });
    await response.body?.cancel();
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('x-frame-options')).toBe('DENY');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('strict-transport-security')).toContain('max-age');
  });

  it.each([
    ['POST', '/webhooks/linear', {}],
    ['PUT', '/api/admin/workspaces/w', { authorization: `Bearer ${env.ADMIN_TOKEN}` }],
  ])('answers a body that breaks off by saying so: %s %s', async (method, path, headers) => {
    const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} } as unknown as ExecutionContext;
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"name":'));
      },
      pull(controller) {
        controller.error(new Error('the connection is gone'));
      },
    });
    const request = new Request(`https://localhost${path}`, { method, headers, body, duplex: 'half' } as RequestInit);
    const response = await worker.fetch(request, env, context);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('was cut off');
  });

  it('names to strangers neither the variable, the table nor the service that is wrong', async () => {
    const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} } as unknown as ExecutionContext;
    const broken = { ...env, ADMIN_TOKEN: 'short' };
    const ask = async (address: string) => {
      const response = await worker.fetch(new Request(address), broken, context);
      return { status: response.status, text: await response.text() };
    };
    const outside = await ask('https://cyrus.example/health');
    expect(outside.status).toBe(503);
    expect(outside.text).not.toContain('ADMIN_TOKEN');
    expect(outside.text).toContain('The log of the Worker says why');
    expect((await ask('http://localhost:8787/health')).text).toContain('ADMIN_TOKEN');
  });
});
