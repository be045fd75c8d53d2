import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { importsOf, readMemories } from '../../container/session/claude-md-imports.ts';

const made: string[] = [];
afterEach(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function worktree(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cyrus-imports-'));
  made.push(folder);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

const told = async (files: Record<string, string>) =>
  (await readMemories(await worktree(files))).map(({ name, text }) => `${name}: ${text}`);

describe('what the repository’s CLAUDE.md imports reaches Claude', () => {
  test('a CLAUDE.md that only names AGENTS.md', async () => {
    expect(await told({ 'CLAUDE.md': '@AGENTS.md\n', 'AGENTS.md': 'ALWAYS USE TABS' })).toEqual([
      'CLAUDE.md: @AGENTS.md\n',
      'AGENTS.md: ALWAYS USE TABS',
    ]);
  });

  test('relative to the file that names it, several on a line, with spaces in a name, each file once', async () => {
    const memories = await told({
      'CLAUDE.md': 'See @docs/style.md and @./docs/git\\ rules.md, please.',
      'docs/style.md': '@deeper/one.md\n@../CLAUDE.md',
      'docs/git rules.md': 'Rebase.',
      'docs/deeper/one.md': 'Deep.',
    });
    expect(memories.map((one) => one.split(':')[0])).toEqual([
      'CLAUDE.md',
      'docs/style.md',
      'docs/deeper/one.md',
      'docs/git rules.md',
    ]);
  });

  test('from .claude/CLAUDE.md, if that is the one there is', async () => {
    expect(await told({ '.claude/CLAUDE.md': '@../README.md', 'README.md': 'Read me.' })).toEqual([
      '.claude/CLAUDE.md: @../README.md',
      'README.md: Read me.',
    ]);
  });

  test('five steps deep, and no circle holds it up', async () => {
    const chain = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`m${at}.md`, `@m${at + 1}.md`]));
    const memories = await told({ 'CLAUDE.md': '@m0.md', ...chain });
    expect(memories).toHaveLength(6);
    expect(memories.at(-1)).toContain('(Not read');
  });

  test('nothing out of the repository is read: no other path, no link, nobody’s home', async () => {
    const outer = await worktree({
      'secret.md': 'SECRET',
      'inner/CLAUDE.md': 'a @../secret.md b @/etc/passwd c @~/.claude/mine.md d @link.md',
    });
    await symlink('/etc/hostname', join(outer, 'inner', 'link.md'));
    const [only, ...others] = await readMemories(join(outer, 'inner'));
    expect(others).toEqual([]);
    expect(only?.text).toMatch(
      /\(Not read, .*: @\.\.\/secret\.md, @\/etc\/passwd, @~\/\.claude\/mine\.md, @link\.md\.\)$/,
    );
  });

  test('what is missing is named, and a package or a person is none', async () => {
    const [only] = await told({ 'CLAUDE.md': 'Ask @ada. We use @types/node.\n@gone.md' });
    expect(only).toMatch(/\(Not read, [^@]*: @gone\.md\.\)$/);
  });
});

test('code and comments import nothing', () => {
  const text =
    '`@a.md` ``x @b.md`` @c.md\n```\n@d.md\n```\n@e.md\n~~~ts\n@f.md\n~~~\n<!-- @g.md -->\n@h.md\n```\n@i.md';
  expect(importsOf(text)).toEqual(['c.md', 'e.md', 'h.md']);
});
