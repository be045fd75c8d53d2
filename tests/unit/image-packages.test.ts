import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { DIGEST_FILE } from '../../container/server.ts';

interface Manifest {
  dependencies: Record<string, string>;
  devDependencies?: Record<string, string>;
}

const read = (path: string) => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));

it("the sandbox image installs the versions that the project's own package.json names", () => {
  const project: Manifest = read('package.json');
  const image: Manifest = read('container/package.json');
  const versions = { ...project.devDependencies, ...project.dependencies };
  for (const [name, version] of Object.entries(image.dependencies)) expect(versions[name], name).toBe(version);
});

it('the sandbox image installs no package whose content is not known by its hash', () => {
  const { packages }: { packages: Record<string, { integrity?: string; link?: boolean }> } =
    read('container/package-lock.json');
  const unverified = Object.entries(packages).filter(([path, { integrity }]) => path !== '' && !integrity);
  expect(unverified).toEqual([]);
});

it('the sandbox image begins with a base that is named by its digest', () => {
  const dockerfile = readFileSync(new URL('../../container/Dockerfile', import.meta.url), 'utf8');
  for (const [line] of dockerfile.matchAll(/^FROM .*$/gm)) expect(line).toMatch(/@sha256:[0-9a-f]{64}( AS \w+)?$/);
});

it('the sandbox image is built from all that its Dockerfile copies, and from no document', () => {
  const lines = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8').split('\n');
  const ignore = lines('.dockerignore');
  const copied = lines('container/Dockerfile').flatMap((line) => /^COPY (\S+)/.exec(line)?.[1] ?? []);
  expect(copied).toContain('src/lib');
  for (const path of copied) {
    expect(
      ignore.some((line) => line.startsWith('!') && `${path}/`.startsWith(`${line.slice(1)}/`)),
      path,
    ).toBe(true);
  }
  expect(ignore.at(-2)).toBe('**/*.md');
});

it('the health endpoint reads the digest from the file that the build of the image writes', () => {
  const project = join(import.meta.dirname, '../..');
  const dockerfile = readFileSync(join(project, 'container/Dockerfile'), 'utf8');
  const [, written] = /> (\S+) \\$/m.exec(dockerfile.slice(dockerfile.indexOf('sha256sum'))) ?? [];
  // The image keeps the project's layout below its WORKDIR.
  expect(dockerfile).toMatch(/^COPY container container$/m);
  expect(relative(project, DIGEST_FILE)).toBe(written);
});
