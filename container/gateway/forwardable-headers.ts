/**
 * Headers that a proxy hands on: none that is about the connection (RFC 9110, section 7.6.1), none that names a host or carries a
 * credential, and none that says how long the body is: the sender sets that again.
 */
import type { IncomingMessage } from 'node:http';
import { isConnectionHeader, namedByConnection } from '../../src/lib/connection-headers.ts';

/** What each side sets for itself. */
const OF_THE_MESSAGE = new Set(['content-length', 'expect', 'host', 'http2-settings']);
/** Where a request comes from is not for the client to say, and neither is who it is. */
const OF_THE_CLIENT =
  /^(authorization|cookie|x-api-key|forwarded|x-forwarded-.*|x-real-ip|cf-.*|x-http-method.*|x-method-override)$/;

/** @returns each name once, in lower case, with its values */
export function forwardableHeaders(message: IncomingMessage): Record<string, string | string[]> {
  return select(message.rawHeaders, namedByConnection(message.headers.connection));
}

/** What may follow a body: never what decides how the message is read. */
export function forwardableTrailers(message: IncomingMessage): Record<string, string> {
  const selected = select(message.rawTrailers, namedByConnection(message.headers.connection));
  return Object.fromEntries(
    Object.entries(selected).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}

function select(raw: readonly string[], alsoNot: ReadonlySet<string>): Record<string, string | string[]> {
  const found = new Map<string, string[]>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    if (isConnectionHeader(name) || OF_THE_MESSAGE.has(name) || OF_THE_CLIENT.test(name) || alsoNot.has(name)) continue;
    found.set(name, [...(found.get(name) ?? []), raw[at + 1] ?? '']);
  }
  return Object.fromEntries(
    [...found].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  );
}
