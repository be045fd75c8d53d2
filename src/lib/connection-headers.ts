/** Headers that speak of one connection and not of the message (RFC 9110 section 7.6.1): no proxy hands them on. */
const CONNECTION_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** True for a header that must not be handed from one connection to another. */
export function isConnectionHeader(name: string): boolean {
  return CONNECTION_HEADERS.has(name.toLowerCase());
}

/** The further headers that a message names as those of its connection, in lower case. @param connection its header `connection` */
export function namedByConnection(connection: string | null | undefined): ReadonlySet<string> {
  return new Set((connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
}
