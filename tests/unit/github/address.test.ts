import { describe, expect, it } from 'vitest';
import { branchPage, gitHubHost, gitHubRepository } from '../../../src/github/address.ts';

const API = 'https://api.github.com';

describe('an address of GitHub', () => {
  it.each([
    ['https://api.github.com', 'github.com'],
    ['https://api.acme.ghe.com', 'acme.ghe.com'],
    ['https://git.acme.example/api/v3', 'git.acme.example'],
    ['https://api.acme.example/api/v3', 'api.acme.example'],
  ])('%s speaks for the repositories on %s', (api, host) => {
    expect(gitHubHost(api)).toBe(host);
  });

  it('names a repository only on the host that the API speaks for', () => {
    const shop = { owner: 'acme', name: 'shop' };
    expect(gitHubRepository(API, 'https://github.com/acme/shop.git')).toEqual(shop);
    expect(gitHubRepository(API, 'https://github.com/acme/shop')).toEqual(shop);
    expect(gitHubRepository(API, 'https://github.com/acme/shop.js.git')).toEqual({ owner: 'acme', name: 'shop.js' });
    expect(gitHubRepository(API, 'https://github.com.evil.example/acme/shop.git')).toBeNull();
    expect(gitHubRepository(API, 'https://gitlab.com/acme/shop.git')).toBeNull();
    expect(gitHubRepository(API, 'https://github.com/acme/group/shop.git')).toBeNull();
  });
});

describe("a branch's page", () => {
  it.each([
    ['https://github.com/acme/shop.git', 'https://github.com/acme/shop/tree/cyrus/eng-1'],
    ['https://gitlab.com/acme/web/shop.git', 'https://gitlab.com/acme/web/shop/-/tree/cyrus/eng-1'],
    ['https://gitlab.acme.example/acme/shop', 'https://gitlab.acme.example/acme/shop/-/tree/cyrus/eng-1'],
    ['https://bitbucket.org/acme/shop.git', 'https://bitbucket.org/acme/shop/branch/cyrus/eng-1'],
    ['https://codeberg.org/acme/shop.git', 'https://codeberg.org/acme/shop/src/branch/cyrus/eng-1'],
    ['https://git.acme.example/shop.git', null],
  ])('of %s is %s', (cloneUrl, page) => {
    expect(branchPage(cloneUrl, 'cyrus/eng-1', API)).toBe(page);
  });

  it("is known for a company's own GitHub by its API", () => {
    expect(branchPage('https://git.acme.example/a/b.git', 'x y', 'https://git.acme.example/api/v3')).toBe(
      'https://git.acme.example/a/b/tree/x%20y',
    );
  });
});
