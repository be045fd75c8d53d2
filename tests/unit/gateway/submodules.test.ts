import { describe, expect, it } from 'vitest';
import { submoduleAddress } from '../../../src/gateway/git/submodules.ts';

const own = 'https://git.example/acme/shop.git';

describe('the address of a submodule', () => {
  it.each([
    ['../lib.git', 'https://git.example/acme/lib.git'],
    ['../../other/lib', 'https://git.example/other/lib'],
    ['./nested.git', 'https://git.example/acme/shop.git/nested.git'],
    ['https://git.example/acme/lib.git', 'https://git.example/acme/lib.git'],
    ['https://user@git.example/acme/lib', 'https://git.example/acme/lib'],
    ['git@git.example:acme/lib.git', 'https://git.example/acme/lib.git'],
    ['ssh://git@git.example:2222/acme/lib.git', 'https://git.example/acme/lib.git'],
    ['https://git.example/group/sub/lib.git/', 'https://git.example/group/sub/lib.git'],
  ])('%s is read as git does, and reached as the repository is', (url, address) => {
    expect(submoduleAddress(url, own)).toEqual({ address });
  });

  it.each([
    'ext::sh -c "touch x"',
    'ext::sh',
    'fd::17/foo',
    'file:///etc/passwd',
    '/etc/passwd',
    '-u./x',
    '--upload-pack=touch',
    'git://git.example/acme/lib.git',
    'https://evil.example/acme/lib.git',
    'https://git.example.evil.net/acme/lib.git',
    'https://git.example:8443/acme/lib.git',
    'git@evil.example:acme/lib.git',
    'ssh://evil.example/acme/lib.git',
    '../../../../../../x/y',
    '../-x/lib.git',
    '../..',
    'https://git.example/acme/..%2f..%2fx',
    'https://git.example/acme/lib.git?x=1',
    'https://git.example/one',
    'http://169.254.169.254/a/b',
    'https://git.example/acme/lib.git\nurl = x',
    '',
    'x'.repeat(2_000),
  ])('%s is refused with a message', (url) => {
    expect(submoduleAddress(url, own)).toEqual({ why: expect.any(String) });
  });
});
