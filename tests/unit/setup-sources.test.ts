import { describe, expect, it } from 'vitest';
import { decisive, decisivePart } from '../../container/setup/setup-sources.ts';

describe('what a setup script installs depends on', () => {
  it('the lock files of every package manager, in every folder', () => {
    const files = [
      'package-lock.json',
      'packages/a/yarn.lock',
      'backend/uv.lock',
      'backend/requirements-dev.txt',
      'backend/requirements/ci.txt',
      'ios/Podfile.lock',
      'ios/Package.resolved',
      'go.work.sum',
      'patches/left-pad+1.0.0.patch',
      'rust-toolchain.toml',
      '.npmrc',
    ];
    expect(decisive([...files, 'src/index.ts', 'README.md', 'docs/requirements.md'])).toEqual(files);
  });

  it('a manifest too, if no lock file of its own package manager is beside it', () => {
    const files = [
      'package-lock.json',
      'package.json',
      'packages/a/package.json',
      'backend/pyproject.toml',
      'Cargo.lock',
      'Cargo.toml',
      'android/build.gradle.kts',
    ];
    expect(decisive(files)).toEqual([
      'package-lock.json',
      'packages/a/package.json',
      'backend/pyproject.toml',
      'Cargo.lock',
      'android/build.gradle.kts',
    ]);
  });

  it('of a package.json what an installation reads, and not its version or other scripts', () => {
    const read = (manifest: object) => decisivePart('a/package.json', Buffer.from(JSON.stringify(manifest))).toString();
    const one = { version: '1.0.0', scripts: { test: 'a', postinstall: 'x' }, dependencies: { b: '1' } };
    expect(read({ ...one, version: '1.0.1', scripts: { test: 'b', postinstall: 'x' } })).toBe(read(one));
    for (const other of [
      { dependencies: { b: '2' } },
      { devDependencies: { c: '1' } },
      { scripts: { postinstall: 'y' } },
      { pnpm: { overrides: { b: '3' } } },
      { workspaces: ['x/*'] },
    ])
      expect(read({ ...one, ...other })).not.toBe(read(one));
    expect(decisivePart('package.json', Buffer.from('{')).toString()).toBe('{');
  });
});
