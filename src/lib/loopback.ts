/**
 * Whether a host means this machine alone, so that nothing said to it travels over a network (RFC 6761 for `localhost`).
 * @param host a name or an address as URL gives it, or bare: `::1`
 */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '[::1]' ||
    host === '::1' ||
    /^127(\.\d{1,3}){3}$/.test(host)
  );
}
