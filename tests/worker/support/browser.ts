/** A browser as far as an installation needs one: it keeps cookies and does not follow redirects by itself. */
import { env } from 'cloudflare:workers';
import worker from '../../../src/index.ts';

export const ORIGIN = 'http://cyrus.test';

export class Browser {
  readonly cookies = new Map<string, string>();
  readonly #bindings: Env;
  readonly #headers: Record<string, string>;

  constructor(bindings: Env = env, headers: Record<string, string> = {}) {
    this.#bindings = bindings;
    this.#headers = headers;
  }

  /** Opens an address. @param address absolute, or a path of Cyrus */
  async open(address: string | URL): Promise<{ status: number; text: string; location: string; headers: Headers }> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await worker.request(
      new URL(address, ORIGIN).href,
      { headers: { ...this.#headers, ...(cookie && { cookie }) } },
      this.#bindings,
    );
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const { status, headers } = response;
    return { status, text: await response.text(), location: headers.get('location') ?? '', headers };
  }
}
