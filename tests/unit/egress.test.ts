import { describe, expect, it } from 'vitest';
import {
  allowedHosts,
  defaultEgress,
  type Egress,
  egressSchema,
  explainBlocked,
  judge,
} from '../../src/protocol/settings/egress.ts';

const rules = (input: { preset?: string; hosts?: string[] }): Egress => egressSchema.parse(input);
const ask = (egress: Egress, address: string, method = 'GET') => judge(egress, method, new URL(address));

describe('The hosts a sandbox may reach', () => {
  it('are the package registries, unless an admin says otherwise', () => {
    expect(defaultEgress).toEqual({ preset: 'registries', hosts: [] });
    for (const host of [
      'registry.npmjs.org',
      'pypi.org',
      'files.pythonhosted.org',
      'index.crates.io',
      'rubygems.org',
      'deb.debian.org',
    ]) {
      expect(ask(defaultEgress, `https://${host}/a`), host).toBe('allowed');
    }
    expect(ask(defaultEgress, 'https://example.com/')).toBe('blocked-host');
    expect(ask(defaultEgress, 'https://github.com/')).toBe('blocked-host');
  });

  it('are none with the preset none, but for those the repository adds', () => {
    expect(ask(rules({ preset: 'none' }), 'https://registry.npmjs.org/')).toBe('blocked-host');
    expect(ask(rules({ preset: 'none', hosts: ['registry.npmjs.org'] }), 'https://registry.npmjs.org/')).toBe(
      'allowed',
    );
    expect(allowedHosts(rules({ preset: 'none' }))).toEqual([]);
  });

  it('are every public name with the preset open, and still no address and nothing private', () => {
    const open = rules({ preset: 'open' });
    expect(ask(open, 'https://example.com/')).toBe('allowed');
    for (const address of [
      'http://127.0.0.1/',
      'http://2130706433/',
      'http://0x7f.1/',
      'http://017700000001/',
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://169.254.169.254/latest/meta-data',
      'http://localhost/',
      'http://a.localhost/',
      'http://intranet/',
      'http://printer.local/',
      'http://metadata.google.internal/',
      'http://gateway.internal./',
      'http://router.home.arpa/',
    ]) {
      expect(ask(open, address), address).toBe('blocked-address');
    }
  });

  it('can be shown as the list they are, with where each comes from', () => {
    const list = allowedHosts(rules({ preset: 'registries', hosts: ['API.Example.com.'] }));
    expect(list[0]).toEqual({ host: 'api.example.com', readOnly: false, from: 'repository' });
    expect(list).toContainEqual({ host: 'pypi.org', readOnly: true, from: 'preset' });
    expect(allowedHosts(rules({ preset: 'open' }))).toEqual([{ host: '*', readOnly: false, from: 'preset' }]);
  });
});

describe('A name on the list', () => {
  const egress = rules({ preset: 'none', hosts: ['api.example.com', '*.example.org'] });

  it('means that name, however it is spelled', () => {
    expect(ask(egress, 'https://API.EXAMPLE.COM/')).toBe('allowed');
    expect(ask(egress, 'https://api.example.com./')).toBe('allowed');
    expect(ask(egress, 'https://api.example.com:443/')).toBe('allowed');
    expect(ask(egress, 'http://api.example.com:80/')).toBe('allowed');
  });

  it('means no other name that looks like it', () => {
    for (const host of [
      'example.com',
      'x.api.example.com',
      'api.example.com.evil.net',
      'apiXexample.com',
      'evilapi.example.com',
      'evil.net',
    ]) {
      expect(ask(egress, `https://${host}/`), host).toBe('blocked-host');
    }
    expect(ask(egress, 'https://api.example.com@evil.net/')).toBe('blocked-address');
    expect(ask(egress, 'https://evil.net/api.example.com')).toBe('blocked-host');
    expect(ask(egress, 'https://evil.net/#@api.example.com')).toBe('blocked-host');
    expect(ask(egress, 'https://evil.net\\@api.example.com/')).toBe('blocked-host');
  });

  it('means the names below it if it begins with *., and not itself', () => {
    expect(ask(egress, 'https://a.example.org/')).toBe('allowed');
    expect(ask(egress, 'https://a.b.example.org/')).toBe('allowed');
    expect(ask(egress, 'https://example.org/')).toBe('blocked-host');
    expect(ask(egress, 'https://evilexample.org/')).toBe('blocked-host');
  });

  it('opens no port but the usual ones', () => {
    expect(ask(egress, 'https://api.example.com:8443/')).toBe('blocked-port');
    expect(ask(egress, 'http://api.example.com:443/')).toBe('blocked-port');
    expect(ask(egress, 'https://user:pass@api.example.com/')).toBe('blocked-address');
  });

  it('is refused if it is no name: a scheme, a path, a port, an address, a whole top-level domain', () => {
    for (const host of [
      'https://example.com',
      'example.com/a',
      'example.com:8080',
      '10.0.0.1',
      '[::1]',
      '*',
      '*.com',
      'a.*.com',
      'localhost',
      'db.internal',
      'exa mple.com',
      'user@example.com',
      '',
    ]) {
      expect(egressSchema.safeParse({ hosts: [host] }).success, host).toBe(false);
    }
  });
});

describe('A registry', () => {
  it('is read from and never published to, unless an admin adds it by name', () => {
    const publish = 'https://registry.npmjs.org/my-package';
    expect(ask(defaultEgress, publish, 'PUT')).toBe('blocked-method');
    expect(ask(defaultEgress, 'https://rubygems.org/api/v1/gems', 'POST')).toBe('blocked-method');
    expect(ask(rules({ preset: 'developer' }), publish, 'PUT')).toBe('blocked-method');
    expect(ask(rules({ hosts: ['registry.npmjs.org'] }), publish, 'PUT')).toBe('allowed');
  });

  it('may be asked which packages are vulnerable, as npm install does', () => {
    const audit = 'https://registry.npmjs.org/-/npm/v1/security/advisories/bulk';
    expect(ask(defaultEgress, audit, 'POST')).toBe('allowed');
  });

  it('is asked that at the exact address of npm’s registry alone, however else it is written', () => {
    for (const address of [
      'https://pypi.org/-/npm/v1/security/advisories/bulk',
      'https://rubygems.org/-/npm/v1/security/audits/quick',
      'https://registry.npmjs.org/-/npm/v1/security/',
      'https://registry.npmjs.org/-/npm/v1/security/advisories/bulk/',
      'https://registry.npmjs.org/-/npm/v1/security/advisories/bulk/x',
      'https://registry.npmjs.org/-/npm/v1/security/anything?data=1',
      'https://registry.npmjs.org/-/npm/v1/security/advisories/bulk?data=1',
      'https://registry.npmjs.org//-/npm/v1/security/advisories/bulk',
      'https://registry.npmjs.org/-/npm/v1/security/../../../../my-package',
      'https://registry.npmjs.org/-/npm/v1/security/%2e%2e/%2e%2e/v1/tokens',
      'https://registry.npmjs.org/-/npm/v1/security/advisories%2fbulk',
      'https://registry.npmjs.org/-/npm/v1/security/advisories/bulk;x=1',
      'https://registry.npmjs.org/-/npm/v1/SECURITY/advisories/bulk',
      'https://registry.npmjs.org/-/npm/v1/tokens',
    ]) {
      expect(ask(defaultEgress, address, 'POST'), address).toBe('blocked-method');
    }
    for (const method of ['PUT', 'DELETE', 'PATCH', 'post']) {
      const audit = 'https://registry.npmjs.org/-/npm/v1/security/advisories/bulk';
      expect(ask(defaultEgress, audit, method), method).toBe('blocked-method');
    }
  });
});

describe('The proxy of Go modules', () => {
  it('hands out modules of known code hosts, with their checksums', () => {
    for (const address of [
      'https://proxy.golang.org/github.com/!burnt!sushi/toml/@v/list',
      'https://proxy.golang.org/github.com/docker/docker/@v/v27.0.0+incompatible.zip',
      'https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go1.24.0.linux-amd64.zip',
      'https://proxy.golang.org/gopkg.in/yaml.v3/@v/v3.0.1.mod',
      'https://proxy.golang.org/google.golang.org/grpc/@latest',
      'https://proxy.golang.org/sumdb/sum.golang.org/supported',
      'https://proxy.golang.org/sumdb/sum.golang.org/lookup/github.com/a/b@v1.2.3',
      'https://sum.golang.org/lookup/golang.org/x/net@v0.30.0',
      'https://sum.golang.org/tile/8/0/x001/234.p/5',
      'https://sum.golang.org/latest',
    ]) {
      expect(ask(defaultEgress, address), address).toBe('allowed');
    }
  });

  it('has nothing fetched from a host that nobody chose, however the address is written', () => {
    for (const address of [
      'https://proxy.golang.org/evil.example/what-i-know/@v/list',
      'https://proxy.golang.org/evil.example/github.com/a/@v/v1.0.0.zip',
      'https://proxy.golang.org/github.com.evil.example/a/b/@v/list',
      'https://proxy.golang.org/github.com%2f..%2fevil.example/@v/list',
      'https://proxy.golang.org/github.com/a/@v/..%2f..%2fevil.example%2fb',
      'https://proxy.golang.org/github.com//evil.example/@v/list',
      'https://proxy.golang.org/github.com/../evil.example/a/@latest',
      'https://proxy.golang.org/GitHub.com/a/b/@v/list',
      'https://proxy.golang.org//github.com/a/b/@v/list',
      'https://proxy.golang.org/cached-only/evil.example/a/@v/list',
      'https://proxy.golang.org./evil.example/a/@v/list',
      'https://proxy.golang.org/sumdb/sum.golang.org/lookup/evil.example/a@v1.0.0',
      'https://proxy.golang.org/sumdb/evil.example/supported',
      'https://sum.golang.org/lookup/evil.example/what-i-know@v1.0.0',
      'https://sum.golang.org/lookup/github.com/a@b@v1.0.0',
      'https://sum.golang.org/lookup%2fevil.example/a@v1',
      'https://sum.golang.org/',
      'https://proxy.golang.org/',
    ]) {
      expect(ask(defaultEgress, address), address).toBe('blocked-module');
    }
    expect(ask(rules({ preset: 'developer' }), 'https://proxy.golang.org/evil.example/a/@v/list')).toBe(
      'blocked-module',
    );
    const chosen = rules({ hosts: ['proxy.golang.org'] });
    expect(ask(chosen, 'https://proxy.golang.org/go.example.com/a/@v/list')).toBe('allowed');
  });

  it('says why it has not fetched a module, and what an admin can do', () => {
    const url = new URL('https://proxy.golang.org/go.example.com/a/@v/list');
    const words = explainBlocked(
      'blocked-module',
      { method: 'GET', url },
      { egress: defaultEgress, repository: 'a/b' },
    );
    for (const part of ['known code hosts', 'proxy.golang.org in settings.egress.hosts of a/b']) {
      expect(words).toContain(part);
    }
  });
});

describe('A blocked request', () => {
  it('is explained with its host, the preset, and what an admin can do, without its query', () => {
    const words = explainBlocked(
      'blocked-host',
      { method: 'GET', url: new URL('https://example.com/a?key=value') },
      { egress: rules({ hosts: ['api.example.net'] }), repository: 'acme/shop' },
    );
    for (const part of ['example.com', 'registries', 'api.example.net', 'settings.egress.hosts', 'acme/shop']) {
      expect(words).toContain(part);
    }
    expect(words).not.toContain('key=value');
  });
});
