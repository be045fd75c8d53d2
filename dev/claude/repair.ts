/** Scripts that work on the sample repository (dev/git/sample-repository): mend its total, and take up what is asked later. */
import { type Answer, bash, edit, firstWords, forShell, type Part, read, type Task, write } from './script.ts';

const wrong = 'total + item.price, 0';
const right = 'total + item.price * item.quantity, 0';

interface Mended {
  /** What was found, for the answer. */
  failing: string[];
  /** Whether all tests pass now. */
  passes: boolean;
  /** Set if there is nothing this script can do; the answer then says why. */
  stopped?: string;
}

/** Finds the failing test, mends the cart's total, tests again. Nothing is committed. */
function* mend(task: Task): Part<Mended> {
  const cart = `${task.directory}/src/cart.js`;
  const first = yield* bash('npm test', 'Run the tests', {
    thinking:
      'The issue describes a wrong result. Before reading code I want to see it fail: the tests are the quickest way to learn what the repository itself says about it.',
    text: `I take this up: “${firstWords(task.prompt)}”. First I run the tests to see what fails.`,
  });
  const failing = failingTests(first.text);
  if (!first.isError) return { failing, passes: true, stopped: 'All tests pass already, so there is nothing to mend.' };

  const source = yield* read(cart, {
    thinking:
      'The failing test is about the total of a cart with several pieces of one item. The total is computed in src/cart.js.',
    text:
      failing.length > 0
        ? `${failing.length === 1 ? 'One test fails' : `${failing.length} tests fail`}: ${failing.map((name) => `*${name}*`).join(', ')}. I read the code it covers.`
        : 'The tests fail. I read the code that computes the total.',
  });
  if (source.isError) {
    const stopped =
      'I am a scripted stand-in for Claude and know only the sample repository `acme/shop`. This repository has no `src/cart.js`, so I changed nothing.';
    return { failing, passes: false, stopped };
  }

  const edited = yield* edit(cart, wrong, right, {
    thinking:
      'cartTotal adds item.price once for each line, whatever its quantity. It has to multiply by item.quantity; addItem guarantees that quantity is a positive integer, so whole cents stay whole.',
    text: '`cartTotal` adds the price of each line once and ignores `quantity`. I multiply by it.',
  });
  if (edited.isError) {
    const program = `const fs = require("fs"); const path = "src/cart.js"; fs.writeFileSync(path, fs.readFileSync(path, "utf8").replace("${wrong}", "${right}"))`;
    yield* bash(`node -e '${program}'`, 'Make the same change with a small program', {
      text: 'The edit was refused, so I make the same change with a small program.',
    });
  }

  const second = yield* bash('npm test', 'Run the tests again', { text: 'Now the tests again.' });
  return { failing, passes: !second.isError };
}

/** Script `repair`: mends the failing test and commits. */
export function* repair(task: Task): Part<Answer> {
  const mended = yield* mend(task);
  if (mended.stopped) return { text: mended.stopped };
  return { text: mendedAnswer(mended, yield* commitMended()) };
}

/** Script `uncommitted`: mends the failing test and leaves the change in the worktree. */
export function* repairUncommitted(task: Task): Part<Answer> {
  const mended = yield* mend(task);
  if (mended.stopped) return { text: mended.stopped };
  return { text: mendedAnswer(mended, 'I left the change **uncommitted** in the worktree.') };
}

/** Script `push-main`: mends and commits if there is something to mend, and tries to push to the base branch, which must not work. */
export function* repairAndPushMain(task: Task): Part<Answer> {
  const mended = yield* mend(task);
  const work = mended.stopped ?? mendedAnswer(mended, yield* commitMended());
  const pushed = yield* bash('git push origin HEAD:main', 'Push the commit to main', {
    text: 'I push this straight to `main`.',
  });
  const outcome = pushed.isError ? 'The push to `main` was **refused**' : 'The push to `main` was **accepted**';
  return { text: `${work}\n\n${outcome}:\n\n\`\`\`\n${pushed.text.trim()}\n\`\`\`` };
}

/**
 * Takes up a later message: adds a test (in the sample repository) or a note (elsewhere), commits, and answers with the
 * message's first words.
 */
export function* followUp(task: Task): Part<Answer> {
  const words = firstWords(task.prompt);
  const slug =
    forShell(words)
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 48) || 'note';
  const sample = yield* read(`${task.directory}/test/cart.test.js`, {
    thinking: 'A further wish. I look at the existing tests first, so that what I add fits in.',
    text: `You wrote: “${words}”. I look at what is there and add to it.`,
  });
  const path = sample.isError ? `follow-ups/${slug}.md` : `test/${slug}.test.js`;
  const content = sample.isError ? `# Follow-up\n\n${words}\n` : followUpTest(words);
  const written = yield* write(`${task.directory}/${path}`, content, { text: `I write \`${path}\`.` });
  const tested = sample.isError ? null : yield* bash('npm test', 'Run the tests');
  const committed = yield* commit(`Take up: ${forShell(firstWords(task.prompt, 8))}`, `Adds ${path}.`);
  const lines = [
    `> ${words}`,
    '',
    written.isError ? `\`${path}\` was there already; I left it as it was.` : `I added \`${path}\`.`,
    ...(tested ? [tested.isError ? 'Not all tests pass.' : 'All tests pass.'] : []),
    committed,
  ];
  return { text: lines.join('\n') };
}

function commitMended(): Part<string> {
  return commit('Count every piece in the cart total', 'The total ignored the quantity of an item.');
}

/** Commits everything in the worktree. Comes to a sentence for the answer. */
function* commit(subject: string, body: string): Part<string> {
  const result = yield* bash(`git add -A && git commit -m "${subject}" -m "${body}"`, 'Commit the change');
  if (!result.isError) return `Committed as *${subject}*.`;
  if (/nothing to commit|working tree clean/.test(result.text)) return 'There was nothing left to commit.';
  return `The commit failed:\n\n\`\`\`\n${result.text.trim()}\n\`\`\``;
}

function mendedAnswer(mended: Mended, ending: string): string {
  const cause = mended.failing.length > 0 ? `*${mended.failing.join('*, *')}* failed because ` : '';
  return [
    '## The cart total counts every piece',
    '',
    `${cause}\`cartTotal\` in \`src/cart.js\` added the price of each line once, whatever its quantity.`,
    '',
    '```diff',
    `- ${wrong}`,
    `+ ${right}`,
    '```',
    '',
    `- **Tests:** ${mended.passes ? 'all pass' : 'still not all pass'}`,
    `- **Commit:** ${ending}`,
  ].join('\n');
}

/** Names of failing tests in the output of `node --test`, each once. */
function failingTests(output: string): string[] {
  const names = [...output.matchAll(/^\s*(?:✖|not ok \d+ -) (.+?)(?: \(\d[\d.]*ms\))?$/gm)].map(
    (match) => match[1] ?? '',
  );
  return [...new Set(names)].filter((name) => name !== 'failing tests:');
}

function followUpTest(words: string): string {
  return `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addItem, countPieces, createCart } from '../src/cart.js';

// Asked for: ${words.replace(/[\r\n\u2028\u2029]/g, ' ')}
test(${JSON.stringify(words)}, () => {
  const cart = addItem(addItem(createCart(), { sku: 'mug', name: 'Mug', price: 1250 }, 2), { sku: 'tea', name: 'Tea', price: 495 });
  assert.equal(countPieces(cart), 3);
});
`;
}
