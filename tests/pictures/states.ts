/** The states that pages are pictured in. */
import type { Page } from 'playwright-core';
import type { JournalBody } from '../../src/protocol/journal.ts';
import type { SandboxStep } from '../../src/protocol/sandbox/events.ts';
import type { SessionRow, SessionView } from '../../src/protocol/viewer.ts';
import { reviewText } from '../../src/web/changes/review.ts';
import { sessionView } from '../unit/support/session-view.ts';
import { Journal } from '../unit/support/web-journal.ts';
import type { Known } from './page-host.ts';

export interface PageState {
  /** Name of its files. */
  name: string;
  /** Left out: the page of the session. */
  path?: string;
  known: Known;
  /** What a person does before the picture is taken. */
  act?: (page: Page) => Promise<void>;
}

const ID = 'session';
const NOW = Date.now();
const MINUTE = 60_000;

const usage = { inputTokens: 8_400, outputTokens: 2_300, cacheReadTokens: 94_000, cacheCreationTokens: 12_000 };
const base = sessionView({
  id: ID,
  issue: {
    identifier: 'ENG-12',
    title: 'The cart total ignores quantities',
    url: 'https://linear.app/acme/issue/ENG-12',
  },
  repository: 'acme/shop',
  branch: 'cyrus/eng-12',
  cwd: '/work/shop',
  model: 'claude-sonnet-5-5',
  usage,
  costUsd: 0.42,
  turnStartedAt: NOW - MINUTE,
  phaseSince: NOW - MINUTE,
  windows: [{ name: '5h', utilization: 0.4, resetsAt: NOW + 90 * MINUTE }],
  createdAt: NOW - MINUTE,
  updatedAt: NOW,
});
const at = (change: Partial<SessionView>): SessionView => ({ ...base, ...change });

const step = (name: SandboxStep, status: 'started' | 'done', more = {}): JournalBody => ({
  kind: 'step',
  step: name,
  status,
  ...more,
});
const prepared = [
  step('mirror', 'started'),
  step('mirror', 'done', { durationMs: 1_240, detail: '20 commits fetched' }),
  step('worktree', 'started'),
  step('worktree', 'done', { durationMs: 310 }),
];
const claude: JournalBody = {
  ...{ kind: 'claude-started', model: 'claude-sonnet-5-5', version: '2.1.330', cwd: '/work/shop' },
  ...{ tools: ['Bash', 'Read', 'Edit'], mcpServers: [{ name: 'linear', status: 'connected' }] },
};
const setupLog: JournalBody = { kind: 'output', source: 'setup', text: 'npm ci\nadded 214 packages in 9s' };
const call = (toolUseId: string, name: string, input: unknown): JournalBody => ({
  kind: 'tool-call',
  toolUseId,
  name,
  input,
});
const result = (toolUseId: string, text: string, isError = false): JournalBody => ({
  kind: 'tool-result',
  toolUseId,
  text,
  isError,
});
const edit: JournalBody = {
  ...{ kind: 'tool-result', toolUseId: 'edit', text: 'Edited.', isError: false },
  edit: {
    path: '/work/shop/src/cart.js',
    created: false,
    hunks: [
      {
        ...{ oldStart: 1, oldLines: 3, newStart: 1, newLines: 3 },
        lines: [
          ' export function total(cart) {',
          '-  return cart.items.length;',
          '+  return cart.items.reduce(sum, 0);',
          ' }',
        ],
      },
    ],
  },
};
const work: JournalBody[] = [
  { kind: 'thinking', text: 'The total is the number of lines, not the sum of the prices.' },
  { kind: 'text', text: 'I look at the **cart** and its tests first.' },
  call('read', 'Read', { file_path: '/work/shop/src/cart.js' }),
  result('read', 'export function total(cart) { return cart.items.length; }'),
  call('test', 'Bash', { command: 'npm test' }),
  result('test', '1 failing: total counts every piece', true),
  call('edit', 'Edit', { file_path: '/work/shop/src/cart.js' }),
  edit,
  call('again', 'Bash', { command: 'npm test' }),
  result('again', 'all 14 tests pass'),
];
const saved: JournalBody = {
  ...{ kind: 'saved', branch: 'cyrus/eng-12', head: 'f00dfeed', newCommits: 1, pushed: true, patchBytes: 1_830 },
  commits: [{ sha: 'f00dfeed', subject: 'Count every piece in the cart total' }],
  files: [
    { path: 'src/cart.js', additions: 1, deletions: 1 },
    { path: 'assets/logo.png', additions: null, deletions: null },
  ],
};
const answerText = 'The cart total counts every piece now, and a test says so.';

/** A journal of a turn that has begun. */
const begun = () =>
  new Journal()
    .prompt('p1', 'The total is wrong as soon as one buys **two** of a thing. Please mend it.')
    .begin(1, 'p1');
const worked = () => begun().add(...prepared, claude, ...work);
const done = () =>
  worked()
    .text(answerText)
    .add(saved, {
      kind: 'pull-request',
      state: 'opened',
      number: 7,
      url: 'https://github.com/acme/shop/pull/7',
      draft: false,
    })
    .end('completed', answerText);
/** As of now: the last entry was written this moment. */
const now = (journal: Journal) => {
  const last = journal.entries.at(-1)?.at ?? 0;
  return journal.entries.map((entry) => ({ ...entry, at: entry.at + NOW - last }));
};

/** An image that was replaced, as git writes it. */
const REPLACED_IMAGE = [
  'diff --git a/assets/logo.png b/assets/logo.png',
  'index e90a2513e57c0ebf5a2e45bef52efab7cc41c462..eeeeef851a2003b6eab69f756fde21d996e2e9e4 100644',
  'GIT binary patch',
  'literal 287',
  'zcmV+)0pR|LP)<h;3K|Lk000e1NJLTq002M$002M;1^@s6s%dfF0002yNkl<Zc-rln',
  'z(Fwya3<Wh#hv@!vtM;pqj}q#{w)FJwAOqY%NGv%5008oMK3;EY`R`*bZx`X0yiJ5N',
  'z`Sub1k#8GeM7~{wEAnk3+>w`$FhgE8!c2L&2rJ}eBCM1zA7O`l*$6x3%SFhLFB2hC',
  'zK0QJO`Lqa?<hMttD8DU2W%=b16y%phP?Db>K~a8M1ZDZ#5jx0Uj?hVdI6_BxBDlW>',
  'zd<FOq;7^dV0H;Cb0ZfFL2{ILCFTiGq-5}dx?gwx~ggZh~5kehn`8yG!8`kn85u!WR',
  'l@@Emk4Qu&hga80Y;sdU0(AZXfBF+E+002ovPDHLkV1jL|bhQ8g',
  '',
  'literal 190',
  'zcmeAS@N?(olHy`uVBq!ia0vp^1|ZDA1|-9oezpUtR!<klkcwMxZyw}jP~>n4JiW2w',
  'zt^Mt*vveI<8$bF#s=epCz|@K3=jU(FXV<27FK>tt;cu>(V&C*Z=N+GA<UJX|z<VNr',
  'zQUZ~6(i0c{5nE)U5d2fsCDY;9r(h1C>0r<>o3UoOWR`@c>oy^sZF%wfo90g2&3_^$',
  'hLnSZ8DBR1bE1iK=pnF>!<H`RZ^`5SNF6*2UngFRVLM{LR',
  '',
  '',
].join('\n');

const PATCH = `${REPLACED_IMAGE}diff --git a/src/cart.js b/src/cart.js
index 1111111..2222222 100644
--- a/src/cart.js
+++ b/src/cart.js
@@ -1,5 +1,6 @@
 import { sum } from './sum.js';
 
 export function total(cart) {
-  return cart.items.length;
+  // Every piece counts, not every line.
+  return cart.items.reduce(sum, 0);
 }
diff --git a/docs/\u202egnp.exe b/docs/\u202egnp.exe
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/docs/\u202egnp.exe
@@ -0,0 +1,2 @@
+# סל הקניות
+<script>alert(1)</script> and one very long line ${'that goes on and on '.repeat(12)}
`;

/** A review of the work was sent, and answered. */
const reviewed = () => {
  const excerpt = '@@ -4,1 +4,0 @@\n-  return cart.items.length;';
  const lines = { path: 'src/cart.js', side: 'old', from: 4, to: 4 } as const;
  const comment = { ...lines, id: 'c', state: '', excerpt, text: 'Was this ever right?' };
  const text = reviewText([comment], { branch: 'cyrus/eng-12', head: 'f00dfeed', words: '' });
  const answer = '**Comment 1:** Only while each line had *one* piece. A test says so now.';
  return done().prompt('p2', text).begin(2, 'p2').text(answer).add(saved).end('completed', answer);
};

const row = (n: number, change: Partial<SessionRow>): SessionRow => ({
  ...{
    id: `s${n}`,
    identifier: `ENG-${n}`,
    title: 'The cart total ignores quantities',
    url: null,
    repository: 'acme/shop',
  },
  ...{
    phase: 'waiting',
    reason: '',
    lastOutcome: 'completed',
    turn: 1,
    createdAt: NOW - n * MINUTE,
    updatedAt: NOW - n * 7 * MINUTE,
  },
  ...change,
});
const rows = [
  row(1, { phase: 'asking', reason: 'Claude asks a question', title: 'Which colour shall the warning have?' }),
  row(2, { phase: 'working', reason: 'Claude is working' }),
  row(3, { phase: 'queued', reason: 'Next in the queue', title: 'עגלת הקניות מתעלמת מכמויות' }),
  row(4, { phase: 'parked', reason: "Claude's 5-hour limit is used up; continues at 17:00" }),
  row(5, {
    pullRequest: {
      number: 7,
      url: 'https://github.com/acme/shop/pull/7',
      state: 'open',
      checks: 'failed',
      review: 'approved',
    },
  }),
  row(6, { lastOutcome: 'failed', title: `A title ${'that never ends '.repeat(12)}` }),
  row(7, { lastOutcome: 'stopped' }),
];

const finished = at({
  phase: 'waiting',
  lastOutcome: 'completed',
  turnStartedAt: null,
  reason: 'Done; a comment continues the conversation',
});

export const STATES: PageState[] = [
  {
    name: 'list',
    path: '/',
    known: { sessions: { sessions: rows, scriptedModel: false, reinstallNeeded: ['Umbrella'] } },
  },
  { name: 'list-empty', path: '/', known: {} },
  { name: 'no-such-session', known: {} },
  {
    name: 'queued',
    known: {
      session: at({ phase: 'queued', reason: '2nd in the queue' }),
      entries: now(
        begun().add({
          kind: 'notice',
          level: 'info',
          text: '2nd in the queue: other sessions of the workspace are ahead.',
          slot: 'awaited',
        }),
      ),
    },
  },
  {
    name: 'starting',
    known: {
      session: at({ phase: 'starting', reason: 'Running cyrus-setup.sh' }),
      entries: now(begun().add(...prepared, step('setup', 'started'), setupLog)),
    },
  },
  {
    name: 'starting-delayed',
    known: {
      session: at({ phase: 'starting', reason: 'The sandbox cannot be reached: connection refused' }),
      entries: now(begun()),
    },
  },
  {
    name: 'first-thought',
    known: { session: at({ phase: 'working' }), entries: now(begun().add(...prepared, claude)) },
  },
  {
    name: 'working',
    known: {
      session: at({
        plan: [
          { content: 'Read the cart', status: 'completed' },
          { content: 'Mend the total', status: 'inProgress' },
          { content: 'Test it', status: 'pending' },
        ],
      }),
      entries: now(worked()),
      open: [{ block: 'b', kind: 'text', turn: 1, text: 'The tests pass now. I write down what' }],
    },
  },
  {
    name: 'asking',
    known: {
      session: at({
        phase: 'asking',
        asked: {
          id: 'q',
          text: 'Which colour?',
          call: null,
          note: '',
          options: ['Red', 'Blue'],
          choices: [
            { id: 'r', label: 'Red', description: 'Like a warning' },
            { id: 'b', label: 'Blue', description: 'As the rest' },
          ],
          until: null,
        },
      }),
      entries: now(worked()),
    },
  },
  {
    name: 'permission',
    known: {
      session: at({
        phase: 'asking',
        asked: {
          id: 'q',
          text: 'Claude asks to run a command',
          call: 'rm -rf build && npm publish',
          note: 'Nobody allowed it before.',
          options: ['Allow once', 'Deny'],
          until: NOW + 5 * MINUTE,
        },
      }),
      entries: now(worked()),
    },
  },
  {
    name: 'parked',
    known: {
      session: at({
        phase: 'parked',
        reason: "Claude's 5-hour limit is used up; continues at 17:00",
        windows: [{ name: '5h', utilization: 1, resetsAt: NOW + 20 * MINUTE }],
      }),
      entries: now(worked()),
    },
  },
  {
    name: 'saving',
    known: {
      session: at({ phase: 'saving', reason: 'Committing and pushing the work' }),
      entries: now(worked().add(step('save', 'started'))),
    },
  },
  {
    name: 'stopping',
    known: {
      session: at({ phase: 'stopping', reason: 'Stopping, as Ada asked' }),
      entries: now(worked().add({ kind: 'stop-requested', author: 'Ada', source: 'page' })),
    },
  },
  { name: 'done', known: { session: finished, entries: now(done()) } },
  {
    name: 'pull-request',
    known: {
      session: at({
        ...finished,
        pullRequest: { number: 7, url: 'https://github.com/acme/shop/pull/7', draft: false },
      }),
      entries: now(done()),
      pull: {
        ...{
          number: 7,
          url: 'https://github.com/acme/shop/pull/7',
          title: 'Count every piece',
          state: 'open',
          checks: 'failed',
          review: 'approved',
        },
        checkList: [
          { name: 'test', state: 'failed', url: 'https://github.com/acme/shop/runs/1' },
          { name: 'lint', state: 'passed', url: null },
        ],
        ...{ moreChecks: 0, approvedBy: ['ben'], changesBy: [], waitsFor: ['cleo'], at: NOW },
      },
    },
  },
  {
    name: 'failed',
    known: {
      session: at({ ...finished, lastOutcome: 'failed', reason: 'Failed; a comment tries again' }),
      entries: now(
        begun()
          .add(step('mirror', 'started'))
          .add({ kind: 'notice', level: 'warning', text: 'The git host does not answer.' })
          .end(
            'failed',
            'The repository could not be fetched: the git host answered 403.\n\nGive the GitHub App access to `acme/shop`, then comment here to try again.',
          ),
      ),
    },
  },
  {
    name: 'unsent',
    known: { session: at({}), entries: now(worked()) },
    act: async (page) => {
      const field = page.getByRole('textbox', { name: 'Message to Claude' });
      for (const words of ['Then tidy up the tests.', 'ואז סיים', `And mind this: ${'a long story '.repeat(40)}`]) {
        await field.fill(words);
        await page.getByRole('button', { name: 'After this turn' }).click();
      }
      await page
        .getByRole('region', { name: /not sent yet/ })
        .getByRole('button', { name: 'Edit' })
        .first()
        .click();
      await page.getByRole('textbox', { name: 'Message that is being edited' }).waitFor();
    },
  },
  {
    name: 'shared',
    path: `/shared/${ID}#${'a'.repeat(43)}`,
    known: { session: finished, entries: now(done()), mayWork: false },
  },
  {
    name: 'share',
    known: { session: finished, entries: now(done()) },
    act: async (page) => {
      const about = page.getByRole('button', { name: /tokens$/ });
      if (await about.isVisible()) await about.click();
      await page.getByRole('button', { name: 'Share' }).click();
      await page.getByRole('button', { name: 'Make a link' }).click();
      await page.getByRole('textbox', { name: 'The new link' }).scrollIntoViewIfNeeded();
    },
  },
  { name: 'connection-lost', known: { session: at({}), entries: now(worked()), isCut: true } },
  { name: 'look-only', known: { session: finished, entries: now(done()), mayWork: false } },
  {
    name: 'read-only',
    known: {
      session: at({ ...finished, readOnly: 'This session was stored by a newer version of Cyrus.' }),
      entries: now(done()),
    },
  },
  {
    name: 'changes',
    path: `/sessions/${ID}#changes`,
    known: { session: finished, entries: now(done()), patch: PATCH },
    act: shown,
  },
  {
    name: 'changes-split',
    path: `/sessions/${ID}#changes`,
    known: { session: finished, entries: now(done()), patch: PATCH },
    act: async (page) => {
      await shown(page);
      await page.getByRole('button', { name: 'Side by side' }).click();
    },
  },
  {
    name: 'changes-comments',
    path: `/sessions/${ID}#changes`,
    known: { session: finished, entries: now(reviewed()), patch: PATCH },
    act: comment,
  },
  {
    name: 'changes-comments-split',
    path: `/sessions/${ID}#changes`,
    known: { session: finished, entries: now(reviewed()), patch: PATCH },
    act: async (page) => {
      await comment(page);
      await page.getByRole('button', { name: 'Side by side' }).click();
    },
  },
];

/** The changes are drawn. */
async function shown(page: Page): Promise<void> {
  await page.getByText('Every piece counts, not every line.').waitFor();
}

/** One comment is written, and another one begun. */
async function comment(page: Page): Promise<void> {
  await shown(page);
  const file = page.getByRole('region', { name: 'src/cart.js' });
  const field = page.getByRole('textbox', { name: /^Comment on/ });
  await file.getByRole('button', { name: 'Comment on line 5 of src/cart.js' }).press('Enter');
  await field.fill('Is `sum` not for numbers alone?\nועוד משהו');
  await field.press('Control+Enter');
  await file.getByRole('button', { name: 'Comment on line 1 of src/cart.js' }).press('Enter');
}
