/**
 * What Worker, sandbox server and page say to each other, written down on its way: a proxy between Worker and sandbox server, which has
 * the sandbox post its events through itself as well, and a raw socket in the place of a page.
 */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** One exchange, or one message to a page. */
export type Recorded =
  | { to: 'sandbox' | 'worker'; method: string; path: string; body: unknown; status: number; answer: unknown }
  | { to: 'page'; message: string };

export class Recorder {
  readonly lines: Recorded[] = [];
  readonly #server: Server;
  readonly #sandboxUrl: string;
  #gatewayUrl = '';

  /** @param sandboxUrl where the sandbox server is */
  constructor(sandboxUrl: string) {
    this.#sandboxUrl = sandboxUrl;
    this.#server = createServer((request, response) => {
      void this.#handle(request, response).catch(() => response.destroy());
    });
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Notes what a page is sent. @param live address of the socket */
  watch(live: string): WebSocket {
    const socket = new WebSocket(live);
    socket.addEventListener('message', ({ data }) => this.lines.push({ to: 'page', message: String(data) }));
    return socket;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    // Not noted: files, checkpoints, git and Claude's API.
    if (path.startsWith('/gateway') && !path.endsWith('/events'))
      return this.#pass(request, response, this.#gatewayUrl);
    const isFromSandbox = path.startsWith('/gateway');
    const text = await read(request);
    const body: unknown = text === '' ? null : JSON.parse(text);
    const sent = isFromSandbox ? text : this.#throughHere(text);
    const { authorization = '', 'content-type': type = 'application/json' } = request.headers;
    const answer = await fetch(`${isFromSandbox ? this.#gatewayUrl : this.#sandboxUrl}${path}`, {
      method: request.method ?? 'GET',
      headers: { authorization, 'content-type': type },
      ...(sent !== '' && { body: sent }),
    });
    const answered = await answer.text();
    if (path.includes('/sessions/') || isFromSandbox) {
      const method = request.method ?? '';
      const to = isFromSandbox ? 'worker' : 'sandbox';
      this.lines.push({ to, method, path, body, status: answer.status, answer: parsed(answered) });
    }
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' });
    response.end(answered);
  }

  /** A start names the gateway: the sandbox is given this proxy's address instead. */
  #throughHere(text: string): string {
    const found = /"gateway":\{"url":"(https?:\/\/[^/"]+)/.exec(text)?.[1];
    if (found === undefined) return text;
    this.#gatewayUrl = found;
    return text.replace(`"gateway":{"url":"${found}`, `"gateway":{"url":"${this.url}`);
  }

  async #pass(request: IncomingMessage, response: ServerResponse, origin: string): Promise<void> {
    const { method, headers, url: path } = request;
    const { hostname, port } = new URL(origin);
    const onward = httpRequest({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }
}

/** Lines of a recording without what differs from run to run and says nothing: secrets, ports and folders. */
export function scrubbed(lines: readonly Recorded[], folder: string): string {
  const text = lines.map((line) => JSON.stringify(line)).join('\n');
  const replaced = text
    .replaceAll(folder, '/run')
    .replace(/(localhost|127\.0\.0\.1):\d+/g, 'localhost:8787')
    .replace(/("token":")[^"]+/g, '$1cyrus-session-token-of-a-recording')
    .replace(/("decoy":\{"name":"[A-Z_]+","value":")[^"]+/g, '$1decoy-of-a-recording');
  return `${replaced}\n`;
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
