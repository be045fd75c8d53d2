/**
 * The head of a push: the command list that git's receive-pack reads before the pack, and the report that tells git what
 * became of each command. Follows gitprotocol-pack(5), "Pushing Data To a Server", and gitprotocol-common(5), "pkt-line Format".
 */

import type { BodyReader } from '../../lib/body-reader.ts';

/** One command: `ref` is to go from `oldId` to `newId`; all zeros stand for "does not exist". */
export interface RefUpdate {
  oldId: string;
  newId: string;
  ref: string;
}

/** What a push asks for. */
export interface Push {
  updates: RefUpdate[];
  /** Commits that end the history of the one who pushes, as its shallow lines say. */
  shallow: string[];
  capabilities: ReadonlySet<string>;
  /** True when the commands came in a signed certificate; `updates` is then empty. */
  signed: boolean;
}

/** The head of a push is not what git writes. */
export class PushSyntaxError extends Error {
  override readonly name = 'PushSyntaxError';
}

/** Largest head that is read, in bytes: some thousand commands. */
const MAX_HEAD_BYTES = 512 * 1024;
/** Data bytes in a packet: of `side-band-64k` (65520 less length and band), and of the old `side-band`. */
const SIDE_BAND_64K_DATA = 65_515;
const SIDE_BAND_DATA = 995;

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const command = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\0]+)$/;

/**
 * Reads from the body of a push up to the end of its command list, however the bytes are cut into chunks.
 * @param reader the body; what follows the head is left in it
 * @returns the push, every byte taken from the reader so far, which may go beyond the head, and where the head ends in them
 * @throws PushSyntaxError; the reader's own errors
 */
export async function readPush(
  reader: BodyReader,
): Promise<{ push: Push; read: Uint8Array<ArrayBuffer>; end: number }> {
  let bytes = new Uint8Array(4_096);
  let length = 0;
  let at = 0;
  const lines: string[] = [];
  for (;;) {
    const packet = nextPacket(bytes.subarray(0, length), at);
    if (packet === 'flush') return { push: parse(lines), read: bytes.subarray(0, length), end: at + 4 };
    if (packet) {
      lines.push(lineOf(packet));
      at += 4 + packet.byteLength;
      if (at > MAX_HEAD_BYTES) throw new PushSyntaxError('the push has too many commands');
      continue;
    }
    const value = await reader.read(1);
    if (!value) throw new PushSyntaxError('the push ends within its commands');
    if (length + value.byteLength > bytes.byteLength) {
      const larger = new Uint8Array(Math.max(2 * bytes.byteLength, length + value.byteLength));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(value, length);
    length += value.byteLength;
  }
}

/**
 * The answer that makes git print a refusal for every ref of the push: `! [remote rejected] main -> main (<reason>)`.
 * @param reason for one command, one short line
 * @param notice more for people, printed as `remote: …`; only if the push negotiated a side band
 * @returns body of an `application/x-git-receive-pack-result`; null when the client asked for no report and so would take any answer for success
 */
export function refusalReport(
  push: Push,
  reason: (update: RefUpdate) => string,
  notice: string,
): Uint8Array<ArrayBuffer> | null {
  const { capabilities } = push;
  if (!capabilities.has('report-status') && !capabilities.has('report-status-v2')) return null;
  const report = [
    packet(push.signed ? `unpack ${oneLine(notice)}\n` : 'unpack ok\n'),
    ...push.updates.map((update) => packet(`ng ${oneLine(update.ref)} ${oneLine(reason(update))}\n`)),
    utf8.encode('0000'),
  ];
  const size = capabilities.has('side-band-64k')
    ? SIDE_BAND_64K_DATA
    : capabilities.has('side-band')
      ? SIDE_BAND_DATA
      : null;
  if (size === null) return joined(report);
  return joined([
    ...banded(2, utf8.encode(`${notice}\n`), size),
    ...banded(1, joined(report), size),
    utf8.encode('0000'),
  ]);
}

/** The packet's data, `flush`, or null when it is not complete yet. */
function nextPacket(bytes: Uint8Array, at: number): Uint8Array | 'flush' | null {
  if (bytes.byteLength - at < 4) return null;
  const digits = String.fromCharCode(...bytes.subarray(at, at + 4));
  if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new PushSyntaxError('the push does not begin with packets');
  const length = Number.parseInt(digits, 16);
  if (length === 0) return 'flush';
  // 0001 to 0003 have meanings in other parts of the protocol; git would end the list there, and what follows would be read differently.
  if (length < 4 || length > 65_520) throw new PushSyntaxError(`a packet of the push has the length ${digits}`);
  return bytes.byteLength - at < length ? null : bytes.subarray(at + 4, at + length);
}

/** Git takes one line feed off the end, and no more. */
function lineOf(packet: Uint8Array): string {
  try {
    const line = strictUtf8.decode(packet);
    return line.endsWith('\n') ? line.slice(0, -1) : line;
  } catch {
    throw new PushSyntaxError('a command of the push is not UTF-8');
  }
}

function parse(lines: readonly string[]): Push {
  const isShallow = (line: string) => line.startsWith('shallow ');
  const shallow = lines.filter(isShallow).map((line) => line.slice('shallow '.length));
  if (!shallow.every((id) => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(id))) {
    throw new PushSyntaxError('a shallow line of the push names no commit');
  }
  const commands = lines.filter((line) => !isShallow(line));
  const [first = '', ...others] = commands;
  const [head = '', capabilityText = '', ...more] = first.split('\0');
  // Git takes any white space for the end of a capability, so one behind a tab would be seen by the host alone.
  if (CONTROL.test(capabilityText)) throw new PushSyntaxError('the capabilities of the push hold a control character');
  const capabilities = new Set(capabilityText.split(' ').filter((name) => name !== ''));
  if (head === 'push-cert') return { updates: [], shallow, capabilities, signed: true };
  if (more.length > 0) throw new PushSyntaxError('a command of the push holds a NUL');
  const updates = commands.length === 0 ? [] : [head, ...others].map(parseCommand);
  return { updates, shallow, capabilities, signed: false };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is to be found
const CONTROL = /[\0-\x1f\x7f]/;

/** Capabilities without a value, and those with one, that change nothing but how git reports or packs (gitprotocol-capabilities(5)). */
const CAPABILITIES = new Set([
  'report-status',
  'report-status-v2',
  'side-band',
  'side-band-64k',
  'quiet',
  'atomic',
  'ofs-delta',
  'delete-refs',
]);
const VALUED = /^(agent|session-id|object-format)=[\x21-\x7e]*$/;

/** The first capability that the gateway does not know, so that it cannot say what the host would do; null: there is none. */
export function unknownCapability({ capabilities }: Push): string | null {
  return [...capabilities].find((name) => !CAPABILITIES.has(name) && !VALUED.test(name)) ?? null;
}

/** The head of a push as git writes it, made of what was understood: what goes to the host is never what came, byte for byte. */
export function encodeHead({ updates, shallow, capabilities }: Push): Uint8Array<ArrayBuffer> {
  const lines = updates.map(({ oldId, newId, ref }, index) => {
    const command = `${oldId} ${newId} ${ref}`;
    return index === 0 ? `${command}\0 ${[...capabilities].join(' ')}` : command;
  });
  return joined([...shallow.map((id) => packet(`shallow ${id}`)), ...lines.map(packet), utf8.encode('0000')]);
}

function parseCommand(line: string): RefUpdate {
  const [, oldId, newId, ref] = command.exec(line) ?? [];
  if (!oldId || !newId || !ref) throw new PushSyntaxError('a command of the push is not "<old id> <new id> <ref>"');
  return { oldId, newId, ref };
}

/** Control characters would begin lines of their own in the report. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is to be found
  return text.replace(/[\0-\x1f\x7f]+/g, ' ').slice(0, 1_000);
}

function packet(data: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = typeof data === 'string' ? utf8.encode(data) : data;
  return joined([utf8.encode((bytes.byteLength + 4).toString(16).padStart(4, '0')), bytes]);
}

function banded(band: 1 | 2, data: Uint8Array, size: number): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let at = 0; at < data.byteLength; at += size) {
    packets.push(packet(joined([Uint8Array.of(band), data.subarray(at, at + size)])));
  }
  return packets;
}

/** Pieces as one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
