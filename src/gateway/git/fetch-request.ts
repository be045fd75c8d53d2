/**
 * What a fetch asks of the git host (gitprotocol-v2(5), gitprotocol-pack(5) "Packfile Negotiation"), read while it passes: known commands,
 * capabilities and arguments, each line written again from what was read. Options for the server are not known, as with pushes: they
 * can order a host to do more than hand out what it has.
 */
import { joined } from './push.ts';

/** Largest request, in bytes: some hundred thousand commits that the client has. */
const MAX_BYTES = 32 * 1024 * 1024;
/** A packet begins with its length, in hexadecimal. */
const LENGTH_BYTES = 4;

const COMMANDS = ['ls-refs', 'fetch'] as const;
type Command = (typeof COMMANDS)[number];

/** Of version 2. */
const CAPABILITY = /^(?:(?:agent|session-id)=[\x21-\x7e]*|object-format=sha(?:1|256))$/;
const ID_LINE = /^(?:want|have|shallow) (?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const PLAIN_LINE: Record<Command, RegExp> = {
  'ls-refs': /^(?:peel|symrefs|unborn)$/,
  fetch:
    /^(?:done|thin-pack|no-progress|include-tag|ofs-delta|sideband-all|wait-for-done|deepen-relative|deepen(?:-since)? \d{1,12}|filter [\w:=+%./-]{1,4096})$/,
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what may not be in a name
const NAME_LINE = /^(ref-prefix|want-ref|deepen-not) [^\0-\x1f\x7f]{1,4096}$/;

/** Capabilities of the versions before, at the end of the first `want`. */
const FIRST_WANT = /^(want (?:[0-9a-f]{40}|[0-9a-f]{64})) (.*)$/;
const EARLIER_CAPABILITY =
  /^(?:multi_ack|multi_ack_detailed|no-done|thin-pack|side-band|side-band-64k|ofs-delta|shallow|deepen-since|deepen-not|deepen-relative|no-progress|include-tag|allow-tip-sha1-in-want|allow-reachable-sha1-in-want|filter|(?:agent|session-id)=[\x21-\x7e]*|object-format=sha(?:1|256))$/;
const EARLIER_LINE = /^(?:deepen(?:-since)? \d{1,12}|filter [\w:=+%./-]{1,4096}|done)$/;

function isArgument(line: string, command: Command | null): boolean {
  const named = NAME_LINE.exec(line)?.[1];
  switch (command) {
    case 'ls-refs':
      return named === 'ref-prefix' || PLAIN_LINE['ls-refs'].test(line);
    case 'fetch':
      return ID_LINE.test(line) || named === 'want-ref' || named === 'deepen-not' || PLAIN_LINE.fetch.test(line);
    case null:
      return ID_LINE.test(line) || named === 'deepen-not' || EARLIER_LINE.test(line);
  }
}

/** The request is none that a sandbox may make. The message says what is refused. */
export class FetchRefused extends Error {
  override readonly name = 'FetchRefused';
}

/** Reads the body of one fetch. */
export class FetchRequestReader {
  readonly #isV2: boolean;
  /** Pieces of a packet that is not whole yet. They are joined once it is: a packet may come byte by byte. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** Bytes that the packet has, as far as is known. */
  #needed = LENGTH_BYTES;
  #bytes = 0;
  #command: Command | null = null;
  #part: 'command' | 'capabilities' | 'arguments' | 'over' = 'command';
  /** Only before version 2 has it capabilities. */
  #isFirstWant = true;

  /** @param version as the header `git-protocol` says it */
  constructor(version: 0 | 2) {
    this.#isV2 = version === 2;
  }

  /**
   * Reads the next piece.
   * @returns what goes to the host of it
   * @throws FetchRefused
   */
  take(piece: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#bytes += piece.byteLength;
    if (this.#bytes > MAX_BYTES) throw new FetchRefused(`a fetch has at most ${MAX_BYTES / 1024 ** 2} MiB`);
    this.#held.push(piece);
    this.#heldBytes += piece.byteLength;
    if (this.#heldBytes < this.#needed) return new Uint8Array(0);
    const bytes = joined(this.#held);
    const written: Uint8Array[] = [];
    let at = 0;
    this.#needed = LENGTH_BYTES;
    while (bytes.byteLength - at >= LENGTH_BYTES) {
      const digits = String.fromCharCode(...bytes.subarray(at, at + 4));
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new FetchRefused('the fetch does not consist of packets');
      const length = Number.parseInt(digits, 16);
      if (length < 4) {
        this.#mark(length);
        written.push(utf8.encode(digits));
        at += 4;
        continue;
      }
      if (bytes.byteLength - at < length) {
        this.#needed = length;
        break;
      }
      const packet = bytes.subarray(at + 4, at + length);
      const line = packet.at(-1) === 0x0a ? packet.subarray(0, -1) : packet;
      this.#line(latin1(line));
      written.push(utf8.encode((line.byteLength + 5).toString(16).padStart(4, '0')), line, LINE_FEED);
      at += length;
    }
    this.#held = [bytes.slice(at)];
    this.#heldBytes = bytes.byteLength - at;
    return joined(written);
  }

  /** @throws FetchRefused if the request is not whole */
  end(): void {
    if (this.#heldBytes > 0 || (this.#isV2 && this.#part !== 'over')) {
      throw new FetchRefused('the fetch ends too early');
    }
  }

  /** A flush (0000), a delimiter (0001), or what has no meaning in a request. */
  #mark(length: number): void {
    // Before version 2 flushes stand between wants and haves, and after every few haves.
    if (length === 0 && !this.#isV2) return;
    // Without a command before it a flush asks for nothing: git sends it before a large request, to see whether it is let in.
    if (length === 0 && this.#isV2 && this.#part !== 'over') {
      this.#part = 'over';
      return;
    }
    if (length === 1 && this.#isV2 && this.#part === 'capabilities') {
      this.#part = 'arguments';
      return;
    }
    throw new FetchRefused(`a packet of the fetch has the length ${length}`);
  }

  #line(line: string): void {
    if (!this.#isV2) {
      this.#earlier(line);
      return;
    }
    switch (this.#part) {
      case 'command': {
        const command = COMMANDS.find((name) => line === `command=${name}`);
        if (command === undefined) throw new FetchRefused(`the command ${short(line)} is not known to Cyrus`);
        this.#command = command;
        this.#part = 'capabilities';
        return;
      }
      case 'capabilities':
        if (!CAPABILITY.test(line)) throw new FetchRefused(`the capability ${short(line)} is not known to Cyrus`);
        return;
      case 'arguments':
        if (isArgument(line, this.#command)) return;
        throw new FetchRefused(`the argument ${short(line)} is not known to Cyrus`);
      case 'over':
        throw new FetchRefused('a request follows the fetch');
    }
  }

  #earlier(line: string): void {
    const [, want = line, capabilities = ''] = (this.#isFirstWant && FIRST_WANT.exec(line)) || [];
    if (!isArgument(want, null)) throw new FetchRefused(`the line ${short(line)} is not known to Cyrus`);
    if (line.startsWith('want ')) this.#isFirstWant = false;
    const unknown = capabilities.split(' ').find((name) => name !== '' && !EARLIER_CAPABILITY.test(name));
    if (unknown !== undefined) throw new FetchRefused(`the capability ${short(unknown)} is not known to Cyrus`);
  }
}

const utf8 = new TextEncoder();
const LINE_FEED = Uint8Array.of(0x0a);

/** Byte by byte: names of refs need not be UTF-8. */
function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function short(line: string): string {
  return JSON.stringify(line.slice(0, 60));
}

/**
 * Passes the body of a fetch on while it is read, and breaks it off where it is refused: the host never has such a request whole.
 * @param protocol the header `git-protocol`
 * @returns the body, and why it was broken off, once it was
 */
export function readFetch(
  body: ReadableStream<Uint8Array>,
  protocol: string | null,
): { body: ReadableStream<Uint8Array>; refused: () => string | null } {
  const reader = new FetchRequestReader(protocol === 'version=2' ? 2 : 0);
  let refused: string | null = null;
  const guarded = (controller: TransformStreamDefaultController<Uint8Array>, work: () => void) => {
    try {
      work();
    } catch (error) {
      if (error instanceof FetchRefused) refused = error.message;
      controller.error(error);
    }
  };
  const passing = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (piece, controller) =>
        guarded(controller, () => {
          const written = reader.take(piece);
          if (written.byteLength > 0) controller.enqueue(written);
        }),
      flush: (controller) => guarded(controller, () => reader.end()),
    }),
  );
  return { body: passing, refused: () => refused };
}

/** A refusal as git prints it: `fatal: remote error: Cyrus: …`. Of an answer with another status it prints none. */
export function fetchRefusal(why: string): Response {
  const line = utf8.encode(`ERR Cyrus: ${why}`);
  const body = joined([utf8.encode((line.byteLength + 4).toString(16).padStart(4, '0')), line]);
  const headers = { 'content-type': 'application/x-git-upload-pack-result', 'cache-control': 'no-cache' };
  return new Response(body, { headers });
}
