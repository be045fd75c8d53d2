/** Where a browser may be sent after an installation: only to addresses the deployment lists, so that no link through Cyrus redirects to an address of somebody else's choice (pure). */

/**
 * True for an address that one of the patterns allows. A pattern is an address, or an origin, which allows all its paths; `*`
 * stands for one label of the host, or for a part of one: never for a dot.
 * @param patterns as in OAUTH_CALLBACK_ALLOW, checked by src/config
 */
export function isAllowedCallback(address: string, patterns: readonly string[]): boolean {
  const url = URL.canParse(address) ? new URL(address) : null;
  // What a browser reads otherwise than a person (user@host, a backslash, a tab) is nothing an honest address has.
  if (!url || url.username || url.password || url.hash || !/^[\x21-\x7e]+$/.test(address) || address.includes('\\')) {
    return false;
  }
  return patterns.some((pattern) => matches(url, pattern));
}

function matches(url: URL, pattern: string): boolean {
  const { origin, path } = /^(?<origin>https?:\/\/[^/]+)(?<path>\/.*)?$/i.exec(pattern)?.groups ?? {};
  if (origin === undefined) return false;
  const [protocol = '', host = ''] = origin.toLowerCase().split('//');
  const [name = '', port = ''] = host.split(':');
  const usual = protocol === 'https:' ? '443' : '80';
  if (url.protocol !== protocol || (url.port || usual) !== (port || usual)) return false;
  const label = name
    .split('*')
    .map((part) => part.replaceAll('.', '\\.'))
    .join('[a-z0-9-]+');
  // Bounded: a host's name has at most 253 characters, and an admin wrote the pattern.
  if (!new RegExp(`^${label}$`).test(url.hostname)) return false;
  return path === undefined || path === '/' || url.pathname === path;
}
