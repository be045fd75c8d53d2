import { describe, expect, it } from 'vitest';
import { textsOf } from '../../dev/checks/texts.ts';
import { bannedPhrases, oddLogEvents, placesOf, uses } from '../../dev/checks/vocabulary.ts';

const GLOSSARY = `
| Term | Meaning | Do not use |
| --- | --- | --- |
| retry | Another attempt. | made good, in vain |
| slot | The right to run. | |

| Do not write | Write |
| --- | --- |
| whoever | who |
`;

describe('the check of the vocabulary', () => {
  const banned = bannedPhrases(GLOSSARY);

  it('reads from the glossary which phrases are not to be used', () => {
    expect(banned.map(({ phrase }) => phrase)).toEqual(['made good', 'in vain', 'whoever']);
  });

  it.each([
    ['an identifier’s comment', '/** A loss is made good. */', 1],
    ['a text that people read', "const text = 'Whoever asked';", 1],
    ['a comment that goes on in the next line', '/**\n * An upload that was tried in\n * vain.\n */', 2],
    ['an identifier', 'const lossMadeGood = 1;', 1],
    ['a name of a test', "it('starts anew for whoever asks', () => {});", 1],
  ])('refuses an old word in %s, with its line', (_, text, line) => {
    expect(uses(text, banned)).toEqual([{ line, phrase: expect.any(String) }]);
  });

  it('leaves words alone that only contain one', () => {
    expect(uses('const invain = unmade; // goods', banned)).toEqual([]);
  });

  it('reads from the glossary in which file a term begins, and nothing from tables that do not say it', () => {
    const table = '| Term | Where it is |\n| --- | --- |\n| slot, place | `src/queue.ts` |\n| lane | |\n';
    expect(placesOf(`${GLOSSARY}\n${table}`)).toEqual([{ term: 'slot', file: 'src/queue.ts' }]);
  });

  it('does not pass if the glossary cannot be read', () => {
    expect(() => bannedPhrases('# Glossary')).toThrow('forbids nothing');
  });
});

describe('the check of log events', () => {
  it.each(["log('linear.token_renewal.failed', {})", "log(\n  'alert.gateway.decoy_caught',\n)", 'log(`admin.x`)'])(
    'passes %s',
    (text) => {
      expect(oddLogEvents(text)).toEqual([]);
    },
  );

  it.each(['request.failed', 'linear.tokens.not-renewed', 'linear.tokens.not_renewed', 'Queue.session.silent', 'oops'])(
    'refuses %s, with its line',
    (name) => {
      expect(oddLogEvents(`\nlog('${name}')`)).toEqual([{ line: 2, name }]);
    },
  );
});

describe('the list of texts', () => {
  it('has each text that people or Claude may read once, and nothing that only machines read', () => {
    const source = [
      "import { a } from 'some module here';",
      "const sql = 'SELECT json FROM state';",
      `const told = \`The turn of \${name} has ended.\`;`,
      "const again = 'Comment to try again.', twice = 'Comment to try again.';",
      "log('turn ended', { text: 'not for people at all' });",
      'const page = <p className="row row-plain">Nothing has happened yet.</p>;',
    ].join('\n');
    expect(textsOf('page.tsx', source)).toEqual([
      'The turn of {…} has ended.',
      'Comment to try again.',
      'Nothing has happened yet.',
    ]);
  });
});
