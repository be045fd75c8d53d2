/**
 * What package registries do beyond handing out what they have, read by exact address so that no spelling gets around it: one answers a
 * question by POST, and those of Go fetch a module from whatever host its name says. Pure.
 */

/** Where npm asks which packages are known to be vulnerable (docs.npmjs.com/cli/commands/npm-audit), and other clients of npm's registry. */
const NPM_HOSTS = new Set(['registry.npmjs.org', 'registry.yarnpkg.com']);
const AUDITS = new Set([
  '/-/npm/v1/security/advisories/bulk',
  '/-/npm/v1/security/audits',
  '/-/npm/v1/security/audits/quick',
]);

/** Largest question of an audit, in bytes: names and versions of some ten thousand packages, compressed. */
export const MAX_AUDIT_BYTES = 256 * 1024;

/** Whether a request is npm's audit, which is the one question to a registry that is put by POST. Its body is bounded by `MAX_AUDIT_BYTES`. */
export function isAudit(method: string, url: URL): boolean {
  return method === 'POST' && NPM_HOSTS.has(url.hostname) && AUDITS.has(url.pathname) && url.search === '';
}

/**
 * Hosts that Go modules are commonly named by: code hosts, and names that their owners have lead to one. An owner of any other could
 * read in its own log what a sandbox asks the proxy for, and say which module to ask for next.
 */
const MODULE_HOSTS = new Set([
  'bitbucket.org',
  'cel.dev',
  'cloud.google.com',
  'codeberg.org',
  'contrib.go.opencensus.io',
  'cuelabs.dev',
  'cuelang.org',
  'dario.cat',
  'filippo.io',
  'git.sr.ht',
  'github.com',
  'gitlab.com',
  'go.etcd.io',
  'go.mongodb.org',
  'go.opencensus.io',
  'go.opentelemetry.io',
  'go.starlark.net',
  'go.temporal.io',
  'go.uber.org',
  'go.yaml.in',
  'golang.org',
  'gonum.org',
  'google.golang.org',
  'gopkg.in',
  'gorm.io',
  'gotest.tools',
  'helm.sh',
  'honnef.co',
  'istio.io',
  'k8s.io',
  'knative.dev',
  'modernc.org',
  'mvdan.cc',
  'nhooyr.io',
  'oras.land',
  'pgregory.net',
  'rsc.io',
  'sigs.k8s.io',
  'software.sslmate.com',
  'tailscale.com',
  'zombiezen.com',
]);

/**
 * Whether a registry of Go would fetch what is asked for from a host that nobody chose (go.dev/ref/mod#goproxy-protocol and
 * #checksum-database). What is no address of these protocols counts as such.
 * @param host without its last dot
 */
export function asksForForeignModule(host: string, { pathname }: URL): boolean {
  if (host === 'sum.golang.org') return isForeignLookup(pathname);
  if (host !== 'proxy.golang.org') return false;
  // The proxy hands on the checksum database as well.
  const mirrored = /^\/sumdb\/sum\.golang\.org(\/.*)$/.exec(pathname)?.[1];
  if (mirrored !== undefined) return mirrored !== '/supported' && isForeignLookup(mirrored);
  const module = /^\/([^@%\\]+)\/(?:@v\/[^/%\\]+|@latest)$/.exec(pathname)?.[1];
  return module === undefined || isForeign(module);
}

/** `/lookup/<module>@<version>` has the module fetched; tiles and the latest tree are files. */
function isForeignLookup(path: string): boolean {
  if (path === '/latest' || path === '/supported' || /^\/tile\/\d+\/[\w./]+$/.test(path)) return false;
  const module = /^\/lookup\/([^@%\\]+)@[^/@%\\]+$/.exec(path)?.[1];
  return module === undefined || isForeign(module);
}

/** Names are written in lower case; a capital letter is written as `!` and the small one, and no host has one. */
function isForeign(module: string): boolean {
  const [host = '', ...rest] = module.split('/');
  return !MODULE_HOSTS.has(host) || rest.some((part) => part === '' || part === '.' || part === '..');
}
