import { afterAll, describe, expect, it } from 'vitest';
import { anchorsOf, commandsOf, linksOf } from '../../dev/checks/markdown.ts';
import { CheckCopy } from './check-copy.ts';

const PAGES = ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', 'SECURITY.md', 'CHANGELOG.md', 'LICENSE'];
const copy = new CheckCopy('dev/checks/documents.ts', [
  ...PAGES,
  ...[
    'docs',
    'src',
    'container',
    'dev',
    'tests',
    '.github',
    '.ci',
    'wrangler.toml',
    'package.json',
    '.dev.vars.example',
  ],
]);
afterAll(() => copy.remove());
const INSTALL = 'docs/install.md';

describe('the check of the documents', () => {
  it('passes the project as it is', () => {
    expect(copy.run()).toEqual({ status: 0, said: expect.stringMatching(/^The links, variables and figures of \d+/) });
  });

  it.each([
    ['a link to a file that is not there', INSTALL, '](operating.md)', '](gone.md)', 'the link leads nowhere: gone.md'],
    [
      'a link to a heading that is not there',
      'docs/operating.md',
      '(install.md#staging-upgrades-the-way-back)',
      '(install.md#gone)',
      'docs/install.md has no heading #gone',
    ],
    [
      'a variable that nothing reads',
      INSTALL,
      '`ACCESS_PASSWORD`',
      `\`GONE_${'PASSWORD'}\``,
      `nothing reads GONE_${'PASSWORD'}`,
    ],
    [
      'a setting that is none, although a variable has its name',
      INSTALL,
      'npm run settings -- set PAUSED',
      'npm run settings -- set ADMIN_TOKEN',
      'there is no setting ADMIN_TOKEN',
    ],
    [
      'a figure in README.md that was not measured',
      'README.md',
      'Nothing is lost.',
      'Nothing is lost within 7654 ms.',
      'docs/benchmarks.md has no figure "7654 ms"',
    ],
  ])('refuses %s', (_, file, before, after, problem) => {
    expect(copy.runWith(file, before, after)).toEqual({ status: 1, said: expect.stringContaining(problem) });
  });
});

describe('what checks read of Markdown', () => {
  it('headings have the anchors that GitHub makes of them', () => {
    const document =
      '# A `queue.wait`, and more\n\n```sh\n# no heading\n```\n\n## Why?\n\n## Why?\n\n## [A link](to.md) here\n';
    expect([...anchorsOf(document)]).toEqual(['a-queuewait-and-more', 'why', 'why-1', 'a-link-here']);
  });

  it('links are those of the text, not of code', () => {
    const document = 'See [one](a.md#b) and `[two](b.md)`.\n\n```md\n[three](c.md)\n```\n\n![four](d.png "title")\n';
    expect(linksOf(document)).toEqual([
      { target: 'a.md#b', line: 1 },
      { target: 'd.png', line: 7 },
    ]);
  });

  it('commands are lines of shell, and what the text quotes', () => {
    const document = 'Run `npm test`.\n\n```sh\nnpm start\n```\n\n```json\n{}\n```\n';
    expect(commandsOf(document)).toEqual([
      { command: 'npm test', line: 1 },
      { command: 'npm start', line: 4 },
    ]);
  });
});
