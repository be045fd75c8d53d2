import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { securityHeaders } from '../../src/routes/middleware/security-headers.ts';

/** Headers by path, as Cloudflare reads the file (developers.cloudflare.com/workers/static-assets/headers). */
function staticHeaders(): Map<string, Map<string, string>> {
  const rules = new Map<string, Map<string, string>>();
  let current = new Map<string, string>();
  const file = readFileSync(join(import.meta.dirname, '../../src/web/public/_headers'), 'utf8');
  for (const line of file.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (!line.startsWith(' ')) {
      current = new Map();
      rules.set(line.trim(), current);
      continue;
    }
    const at = line.indexOf(':');
    current.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim());
  }
  return rules;
}

describe('a file that is served without the Worker', () => {
  it('may not be framed or sniffed, and is asked for over https alone, as every answer of the Worker', async () => {
    const app = new Hono().use(securityHeaders).get('/', (c) => c.html('page'));
    const ofWorker = (await app.request('https://cyrus.example/')).headers;
    const ofFiles = staticHeaders().get('/*') ?? new Map<string, string>();
    for (const name of [
      'x-content-type-options',
      'x-frame-options',
      'referrer-policy',
      'strict-transport-security',
      'cross-origin-opener-policy',
      'cross-origin-resource-policy',
    ]) {
      expect(ofFiles.get(name), name).toBe(ofWorker.get(name));
    }
    const policy = (text: string | null | undefined) =>
      new Map((text ?? '').split(';').map((part) => [part.trim().split(' ')[0] ?? '', part.trim()]));
    const files = policy(ofFiles.get('content-security-policy'));
    for (const [name, value] of policy(ofWorker.get('content-security-policy'))) {
      // The host of a deployment is not known to a file.
      expect(files.get(name), name).toBe(name === 'connect-src' ? "connect-src 'self' ws: wss:" : value);
    }
    expect(files.get('frame-ancestors')).toBe("frame-ancestors 'none'");
  });

  it('is kept by a browser only if its name holds a hash of its content', () => {
    const kept = [...staticHeaders()].filter(([, headers]) => headers.has('cache-control')).map(([path]) => path);
    expect(kept).toEqual(['/assets/*']);
  });
});
