/**
 * Certificates that programs in a Cloudflare Container have to trust: HTTPS leaves it through an outbound handler, which
 * shows certificates of an authority of the container's own
 * (developers.cloudflare.com/containers/configuration/outbound-traffic). Every tool has its own way of being told.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Where the platform puts its authority when the container starts. */
const AUTHORITY = '/etc/cloudflare/certs/cloudflare-containers-ca.crt';
/** Debian's own bundle. */
const USUAL = '/etc/ssl/certs/ca-certificates.crt';

/** Variables that name a file with every authority to trust, by the tools that read them. */
const BUNDLE_VARIABLES = [
  'SSL_CERT_FILE', // OpenSSL, Go, Ruby, uv, rustls-native-certs
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'REQUESTS_CA_BUNDLE', // Python's requests
  'PIP_CERT',
  'CARGO_HTTP_CAINFO',
  'AWS_CA_BUNDLE',
  'DENO_CERT',
];

/**
 * The variables by which tools trust the platform's authority; none if there is no such authority.
 * @param bundle file that is written with both, the usual authorities and the platform's
 */
export function trustVariables(bundle: string, authority = AUTHORITY, usual = USUAL): Record<string, string> {
  if (!existsSync(authority)) return {};
  const usually = existsSync(usual) ? readFileSync(usual, 'utf8') : '';
  writeFileSync(bundle, `${usually}\n${readFileSync(authority, 'utf8')}`);
  return {
    // Node adds these to its own.
    NODE_EXTRA_CA_CERTS: authority,
    ...Object.fromEntries(BUNDLE_VARIABLES.map((name) => [name, bundle])),
  };
}
