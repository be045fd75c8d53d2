/** A browser as far as an installation needs one: it keeps cookies and does not follow redirects by itself. */
import { env } from 'cloudflare:workers';
import worker from '../../../src/index.ts';

export const ORIGIN = 'http://cyrus.test';

export class Browser {
  readonly cookies = new Map<string, string>();
  readonly #bindings: Env;
  readonly #headers: Record<string, string>;
  readonly #origin: string;

  constructor(bindings: Env = env, headers: Record<string, string> = {}, origin = ORIGIN) {
    this.#bindings = bindings;
    this.#headers = headers;
    this.#origin = origin;
  }

  /** Opens an address. @param address absolute, or a path of Cyrus */
  async open(
    address: string | URL,
    init: { method?: string; body?: string; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; text: string; location: string; headers: Headers; webSocket: WebSocket | null }> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await worker.request(
      new URL(address, this.#origin).href,
      { ...init, headers: { ...this.#headers, ...init.headers, ...(cookie && { cookie }) } },
      this.#bindings,
      { waitUntil: () => {}, passThroughOnException: () => {}, props: {} },
    );
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      if (/; Max-Age=0(;|$)/i.test(line)) this.cookies.delete(pair.slice(0, at));
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const { status, headers, webSocket } = response;
    const text = webSocket ? '' : await response.text();
    return { status, text, location: headers.get('location') ?? '', headers, webSocket };
  }
}
