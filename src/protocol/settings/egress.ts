/**
 * Which hosts a sandbox may reach besides the gateway: a preset, and what a repository adds to it. Pure: the decision is a
 * function of the rules and the request's address.
 */
import * as z from 'zod';
import { asksForForeignModule, isAudit } from './registries.ts';

/**
 * `none`: nothing but the gateway. `registries`: package registries, to read from. `developer`: also code hosts, downloads
 * of tools, documentation; some of these take uploads from anyone who has an account. `open`: every host with a public name.
 */
export const egressPresetSchema = z.enum(['none', 'registries', 'developer', 'open']);
export type EgressPreset = z.infer<typeof egressPresetSchema>;

/** A name of at least two labels; the last one is never a number, so no address is a name. */
const NAME = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAME_LENGTH = 253;
/** Names that mean no host of the public Internet (RFC 6761, RFC 6762, RFC 8375, and what private networks use). */
const PRIVATE_ENDINGS = ['.localhost', '.local', '.internal', '.intranet', '.lan', '.corp', '.home', '.home.arpa'];

/**
 * A host as an admin writes it: `api.example.com`, or `*.example.com` for every name below example.com (and not itself).
 * Case and a dot at the end do not matter.
 */
export const hostPatternSchema = z
  .string()
  .transform((text) => withoutLastDot(text.trim().toLowerCase()))
  .refine((pattern) => isPublicName(pattern.replace(/^\*\./, '')) && isNarrow(pattern), {
    error:
      'must be a public host name such as api.example.com, or *.example.com for the names below it; no scheme, port, path or IP address',
  });

export const egressSchema = z.object({
  preset: egressPresetSchema.default('registries'),
  /** Hosts besides those of the preset; any method may be used there. */
  hosts: z.array(hostPatternSchema).max(200).default([]),
});
export type Egress = z.infer<typeof egressSchema>;

/** The rules of a repository for which nothing was set. */
export const defaultEgress: Egress = egressSchema.parse({});

/** Package registries. Only reading is let through: most of them publish under the same name. */
const REGISTRIES: readonly string[] = [
  // JavaScript
  'registry.npmjs.org',
  'registry.yarnpkg.com',
  'npm.jsr.io',
  'jsr.io',
  'nodejs.org',
  // Python
  'pypi.org',
  'files.pythonhosted.org',
  'conda.anaconda.org',
  // Rust
  'index.crates.io',
  'static.crates.io',
  'crates.io',
  'static.rust-lang.org',
  // Go: modules of known code hosts, see registries.ts
  'proxy.golang.org',
  'sum.golang.org',
  // Ruby
  'rubygems.org',
  'index.rubygems.org',
  // Java
  'repo.maven.apache.org',
  'repo1.maven.org',
  'plugins.gradle.org',
  'services.gradle.org',
  // .NET, PHP, Elixir, Dart
  'api.nuget.org',
  'packagist.org',
  'repo.packagist.org',
  'repo.hex.pm',
  'builds.hex.pm',
  'pub.dev',
  // Debian
  'deb.debian.org',
  'security.debian.org',
];

/** What developers commonly need besides. */
const DEVELOPER: readonly string[] = [
  // Code
  'github.com',
  'api.github.com',
  'codeload.github.com',
  '*.githubusercontent.com',
  'gitlab.com',
  'bitbucket.org',
  // Tools and their downloads
  'ghcr.io',
  'registry-1.docker.io',
  'auth.docker.io',
  'production.cloudflare.docker.com',
  'download.docker.com',
  'deb.nodesource.com',
  'apt.postgresql.org',
  'packages.microsoft.com',
  'dl.google.com',
  'go.dev',
  'sh.rustup.rs',
  'astral.sh',
  'bun.sh',
  'deno.land',
  'dl.deno.land',
  'esm.sh',
  'binaries.prisma.sh',
  'cdn.playwright.dev',
  'download.cypress.io',
  'cdn.cypress.io',
  'releases.hashicorp.com',
  'registry.terraform.io',
  'get.helm.sh',
  // Documentation
  'developer.mozilla.org',
  'docs.python.org',
  'docs.rs',
  'doc.rust-lang.org',
  'pkg.go.dev',
  'react.dev',
  'www.typescriptlang.org',
  'www.npmjs.com',
  'stackoverflow.com',
  'en.wikipedia.org',
];

/** One line of the list of hosts that a repository's sandboxes may reach. */
export interface AllowedHost {
  /** A name, `*.name`, or `*` for every public name. */
  host: string;
  /** Only GET, HEAD and OPTIONS. */
  readOnly: boolean;
  /** Where it comes from: the preset, or the repository's own additions. */
  from: 'preset' | 'repository';
}

/** The list of hosts that rules amount to, those of the repository first. `gateway.internal` is always reached and not in it. */
export function allowedHosts(egress: Egress): AllowedHost[] {
  const added = egress.hosts.map((host) => ({ host, readOnly: false, from: 'repository' as const }));
  return [...added, ...hostsOfPreset(egress.preset)];
}

function hostsOfPreset(preset: EgressPreset): AllowedHost[] {
  const of = (hosts: readonly string[], readOnly: boolean) =>
    hosts.map((host) => ({ host, readOnly, from: 'preset' as const }));
  switch (preset) {
    case 'none':
      return [];
    case 'registries':
      return of(REGISTRIES, true);
    case 'developer':
      return [...of(REGISTRIES, true), ...of(DEVELOPER, false)];
    case 'open':
      return of(['*'], false);
  }
}

/**
 * What becomes of a request. `address`: not a name of the public Internet; `port`: not the scheme's own; `host`: not on the
 * list; `method`: a registry is only read from; `module`: the registry would fetch it from a host that is on no list.
 */
export type EgressDecision =
  | 'allowed'
  | 'blocked-address'
  | 'blocked-port'
  | 'blocked-host'
  | 'blocked-method'
  | 'blocked-module';

/**
 * Judges a request of a sandbox.
 * @param url as the request has it, http or https; what the URL parser makes of it counts, so that no spelling gets around
 * the list: case, a last dot, user information, numbers that are addresses
 */
export function judge(egress: Egress, method: string, url: URL): EgressDecision {
  const name = withoutLastDot(url.hostname);
  if (!['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    return 'blocked-address';
  }
  if (!isPublicName(name)) return 'blocked-address';
  if (url.port !== '') return 'blocked-port';
  const matching = allowedHosts(egress).filter(({ host }) => matches(host, name));
  if (matching.length === 0) return 'blocked-host';
  if (matching.some(({ readOnly }) => !readOnly)) return 'allowed';
  if (isAudit(method, url)) return 'allowed';
  if (!['GET', 'HEAD', 'OPTIONS'].includes(method)) return 'blocked-method';
  return asksForForeignModule(name, url) ? 'blocked-module' : 'allowed';
}

/** What a sandbox is told of a request that was not let through, in words that Claude can act on. */
export function explainBlocked(
  verdict: Exclude<EgressDecision, 'allowed'>,
  request: { method: string; url: URL },
  rules: { egress: Egress; repository: string },
): string {
  const { method, url } = request;
  const { egress, repository } = rules;
  const host = withoutLastDot(url.hostname);
  const begin = `Cyrus did not let ${method} ${url.protocol}//${url.host}${url.pathname} through: `;
  const end =
    ' There is no other way to reach it, so do not look for one; continue without it, or say in your answer what you would need and why.';
  switch (verdict) {
    case 'blocked-address':
      return `${begin}${host} is not a public host name, and IP addresses cannot be reached from this sandbox.${end}\n`;
    case 'blocked-port':
      return `${begin}only the ports 80 (http) and 443 (https) are open, not ${url.port}.${end}\n`;
    case 'blocked-method':
      return `${begin}package registries such as ${host} can only be read (GET); nothing can be published from this sandbox. To allow that, an admin adds ${host} to settings.egress.hosts of ${repository}.${end}\n`;
    case 'blocked-module':
      return `${begin}${host} would get this module from a host that is not one of the known code hosts.${end} A Cyrus admin can allow every module: ${host} in settings.egress.hosts of ${repository}.\n`;
    case 'blocked-host':
      return `${begin}the host ${host} is not on the list of ${repository} (preset "${egress.preset}"${additions(egress)}).${end} A Cyrus admin can allow it: ${host} in settings.egress.hosts of ${repository}, or another settings.egress.preset.\n`;
  }
}

function additions({ hosts }: Egress): string {
  const shown = hosts.slice(0, 10).join(', ');
  return hosts.length === 0 ? '' : `, and ${shown}${hosts.length > 10 ? ', …' : ''}`;
}

function matches(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern;
}

/** Whether a name can mean a host of the public Internet; an address is no name. */
export function isPublicName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && NAME.test(name) && !PRIVATE_ENDINGS.some((ending) => name.endsWith(ending));
}

/** `*.com` is not a list, it is the Internet: for that there is the preset `open`. */
function isNarrow(pattern: string): boolean {
  return !pattern.startsWith('*.') || pattern.split('.').length >= 3;
}

function withoutLastDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
