/**
 * `acme/shop`, the repository that a fresh installation works on: a cart and its prices, with one failing test because
 * the cart's total ignores quantities. The files in sample-repository/ are its last commit; here is how it came about.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositorySeed, SeedCommit } from './seed.ts';

/** `owner/name` of the sample repository. */
export const SAMPLE_REPOSITORY = 'acme/shop';

const ada = { name: 'Ada Brandt', email: 'ada@acme.example' };
const noor = { name: 'Noor Haddad', email: 'noor@acme.example' };
const day = 86_400;
const firstCommit = Date.UTC(2026, 8, 1, 9, 0, 0) / 1000;

/**
 * The sample repository's history, the same on every machine.
 * @returns a seed for `GitHost.ensureRepository(SAMPLE_REPOSITORY, …)`
 */
export async function sampleRepository(): Promise<RepositorySeed> {
  const directory = join(import.meta.dirname, 'sample-repository');
  const file = (path: string) => readFile(join(directory, path), 'utf8');
  const [readme, cart, cartTest] = await Promise.all([
    file('README.md'),
    file('src/cart.js'),
    file('test/cart.test.js'),
  ]);
  const withoutFailingTest = withoutSection(cartTest, "test('the total counts every piece of an item'");
  const commits: SeedCommit[] = [
    {
      message: 'Reckon with money in whole cents',
      author: ada,
      at: firstCommit,
      files: {
        '.gitignore': await file('.gitignore'),
        'README.md': readme.slice(0, readme.indexOf('```js')).trimEnd().concat('\n'),
        'package.json': await file('package.json'),
        'src/money.js': await file('src/money.js'),
        'test/money.test.js': await file('test/money.test.js'),
      },
    },
    {
      message: 'Put items into a cart\n\nThe same item twice is one line with a higher quantity.',
      author: ada,
      at: firstCommit + day,
      files: {
        'src/cart.js': withoutSection(cart, '/** A cart without the product. */'),
        'test/cart.test.js': withoutSection(withoutFailingTest, "test('a removed item costs nothing'").replace(
          ', removeItem',
          '',
        ),
      },
    },
    {
      message: 'Take items out of the cart',
      author: noor,
      at: firstCommit + 3 * day,
      files: { 'src/cart.js': cart, 'test/cart.test.js': withoutFailingTest },
    },
    {
      message: 'Price a cart: coupons, shipping, checkout',
      author: noor,
      at: firstCommit + 6 * day,
      files: {
        'CLAUDE.md': await file('CLAUDE.md'),
        'README.md': readme,
        'src/pricing.js': await file('src/pricing.js'),
        'test/pricing.test.js': await file('test/pricing.test.js'),
      },
    },
    {
      message:
        'Show that the total forgets quantities\n\nThree mugs and a tea must cost 42.45, the cart says 17.45. The test fails until that is mended.',
      author: ada,
      at: firstCommit + 9 * day,
      files: { 'test/cart.test.js': cartTest },
    },
  ];
  return { branch: 'main', commits };
}

/** The text without the passage (up to the next line that begins a new one) that starts with `start`. */
function withoutSection(text: string, start: string): string {
  const from = text.indexOf(start);
  const blankLine = text.indexOf('\n\n', from);
  if (from < 0 || blankLine < 0) throw new Error(`the sample repository has no passage that starts with: ${start}`);
  return text.slice(0, from) + text.slice(blankLine + 2);
}
