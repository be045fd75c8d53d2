import { createElement, type ReactNode } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, test } from 'vitest';
import type { JournalBody, JournalEntry } from '../../src/protocol/journal.ts';
import type { Asked, Phase, SessionView } from '../../src/protocol/viewer.ts';
import type { SessionState, SessionStore } from '../../src/web/live/session-store.ts';
import { emptyTimeline } from '../../src/web/live/timeline.ts';
import type { ToolCall } from '../../src/web/outline/model.ts';
import { outlineOf } from '../../src/web/outline/outline.ts';
import { timelineRows } from '../../src/web/outline/rows.ts';
import { ReinstallBanner } from '../../src/web/view/banners.tsx';
import { UndrawnChanges } from '../../src/web/view/changes/changes-link.tsx';
import { AskedPanel } from '../../src/web/view/composer/asked-panel.tsx';
import { Composer } from '../../src/web/view/composer/composer.tsx';
import { OutgoingMessages } from '../../src/web/view/composer/outgoing-messages.tsx';
import { UnsentMessages } from '../../src/web/view/composer/unsent-messages.tsx';
import { Facts } from '../../src/web/view/header/facts.tsx';
import { LinkStatus } from '../../src/web/view/header/link-status.tsx';
import { StatusPill } from '../../src/web/view/header/status-pill.tsx';
import { EndedItem } from '../../src/web/view/items/ended-item.tsx';
import { SavedItem } from '../../src/web/view/items/saved-item.tsx';
import { StepsItem } from '../../src/web/view/items/steps-item.tsx';
import { ToolRow } from '../../src/web/view/items/tool-row.tsx';
import { SessionContext } from '../../src/web/view/session-context.ts';
import { RowView } from '../../src/web/view/timeline/row-view.tsx';
import { WorkingLine } from '../../src/web/view/working-line.tsx';

const session: SessionView = {
  id: 's-1',
  issue: { identifier: 'ENG-1', title: 'The cart', url: 'https://linear.app/eng-1' },
  workspaceName: 'Acme',
  repository: 'acme/shop',
  branch: 'cyrus/eng-1',
  phase: 'working',
  reason: '',
  phaseSince: 0,
  asked: null,
  turn: 1,
  turnStartedAt: 0,
  lastOutcome: null,
  model: 'sonnet',
  usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 },
  costUsd: null,
  scriptedModel: false,
  failedEffects: 0,
  createdAt: 0,
  updatedAt: 0,
};

/** Entries as a journal numbers them, a second apart, all of one turn. */
function journal(...bodies: JournalBody[]): JournalEntry[] {
  return bodies.map((body, index) => ({ seq: index + 1, at: (index + 1) * 1_000, turn: 1, ...body }));
}

/** Draws a component on a page whose session is in this state. */
function drawn(component: ReactNode, state: Partial<SessionState> = {}): string {
  const all: SessionState = {
    load: { at: 'shown' },
    link: { at: 'live' },
    session,
    timeline: emptyTimeline,
    entries: [],
    isPast: false,
    outline: outlineOf([]),
    older: 'all',
    newer: 'all',
    target: null,
    saved: null,
    mayWork: true,
    outgoing: [],
    stop: { at: 'none' },
    answer: { at: 'none' },
    skew: 0,
    ...state,
  };
  const store: Pick<SessionStore, 'id' | 'subscribe' | 'getState'> = {
    id: 's-1',
    subscribe: () => () => {},
    getState: () => all,
  };
  // The store itself opens a connection; components that are only drawn read no more than this of it.
  return renderToStaticMarkup(createElement(SessionContext, { value: store as SessionStore }, component));
}

/** The words that a reader sees, without what is only for machines. */
function words(html: string): string {
  return html
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&#x27;', "'")
    .replace(/\s+/g, ' ')
    .trim();
}

describe('the field for messages', () => {
  const composer = createElement(Composer, { onSent: () => {} });
  const at = (phase: Phase, more: Partial<SessionView> = {}) => ({ session: { ...session, phase, ...more } });

  test.each<Phase>(['queued', 'starting', 'working', 'asking', 'parked'])(
    'offers a stop while the session is %s',
    (phase) => {
      expect(words(drawn(composer, at(phase)))).toMatch(/Stop (After this turn )?Send/);
      expect(words(drawn(composer, at(phase)))).toContain('Esc stops');
    },
  );

  test.each<Phase>(['waiting', 'saving'])(
    'offers no stop while the session is %s: there is nothing to stop',
    (phase) => {
      expect(words(drawn(composer, at(phase)))).not.toMatch(/stop/i);
    },
  );

  test('offers a stop after a turn whose commands still run in the background', () => {
    expect(words(drawn(composer, at('waiting', { background: ['npm run dev'] })))).toContain('Stop Send');
  });

  test('shows a stop under way once, and takes no second one', () => {
    for (const state of [at('stopping'), { ...at('working'), stop: { at: 'sending' } as const }]) {
      const html = drawn(composer, state);
      expect(words(html)).toContain('Stopping…');
      expect(html).toMatch(/<button type="button" class="button" disabled=""/);
    }
  });

  test('says why a stop was refused or is still on its way, and why an answer did not count', () => {
    expect(words(drawn(composer, { stop: { at: 'refused', message: 'Nothing runs.' } }))).toContain('Nothing runs.');
    const late = drawn(composer, { stop: { at: 'sending', message: 'The server cannot be reached.' } });
    expect(words(late)).toContain('Not stopped yet: The server cannot be reached.');
    const answered = drawn(composer, { answer: { at: 'failed', message: 'Bob has answered already.' } });
    expect(answered).toMatch(/role="alert"[^>]*>Bob has answered already\./);
  });

  test('names what a message is for in each phase', () => {
    const hint = (phase: Phase) => /placeholder="([^"]*)"/.exec(drawn(composer, at(phase)))?.[1];
    expect(hint('asking')).toBe('Your answer');
    expect(hint('working')).toBe('Add to what Claude is doing');
    expect(hint('waiting')).toBe('What should Claude do next?');
    expect(hint('queued')).toBe(hint('parked'));
  });

  test('sends no empty message', () => {
    expect(drawn(composer)).toMatch(/<button type="submit"[^>]*disabled=""/);
  });
});

describe('the plan', () => {
  const facts = (plan?: SessionView['plan']) => words(drawn(createElement(Facts, { session: { ...session, plan } })));

  test('is a list of what is done, under way, to do and dropped, with how far it is', () => {
    const shown = facts([
      { content: 'Read the cart', status: 'completed' },
      { content: 'Mend the total', status: 'inProgress' },
      { content: 'Write a test', status: 'pending' },
      { content: 'Ask Bob', status: 'canceled' },
    ]);
    expect(shown).toContain('Plan 1 of 3 done');
    expect(shown).toContain('Done: Read the cart Under way: Mend the total To do: Write a test Dropped: Ask Bob');
  });

  test('is not there before Claude has made one', () => {
    expect(facts()).not.toContain('Plan');
    expect(facts([])).not.toContain('Plan');
  });
});

describe('the pull request', () => {
  const url = 'https://github.com/acme/shop/pull/7';
  const facts = (pullRequest: SessionView['pullRequest']) =>
    drawn(createElement(Facts, { session: { ...session, pullRequest } }));

  test('is a button to it, with the state that GitHub gave last', () => {
    const seen = { state: 'open', checks: 'passed', review: 'none' } as const;
    const html = facts({ number: 7, url, draft: false, seen });
    expect(html).toContain(`href="${url}"`);
    expect(words(html)).toContain('Pull request Open passed Review #7 on GitHub');
  });

  test('is a button to it before anything is known of it, and nothing before there is one', () => {
    expect(words(facts({ number: 7, url, draft: false }))).toContain('Pull request Open #7 on GitHub');
    expect(words(facts(null))).not.toContain('Pull request');
  });
});

describe('a question to people', () => {
  const asked: Asked = {
    id: 'q-1',
    text: 'Run this?',
    call: 'npm publish',
    note: '',
    options: ['Yes', 'No'],
    choices: [
      { id: 'yes', label: 'Yes' },
      { id: 'no', label: 'No' },
    ],
    until: null,
  };
  const panel = (more: Partial<Asked> = {}) => createElement(AskedPanel, { asked: { ...asked, ...more } });

  test('shows exactly what would be run, and a button for each option', () => {
    const html = drawn(panel());
    expect(words(html)).toBe('Run this? npm publish Yes No');
    expect(html).not.toContain('disabled');
  });

  test('takes no second answer while one to this very question is under way, and one to another question holds up nothing', () => {
    const answering = (question: string) => drawn(panel(), { answer: { at: 'sending', question } });
    expect(answering('q-1').match(/disabled=""/g)).toHaveLength(2);
    expect(answering('q-0')).not.toContain('disabled');
  });

  test('that takes several options shows a box for each, and cannot be answered with none of them', () => {
    const html = drawn(panel({ multiSelect: true }));
    expect(html.match(/type="checkbox"/g)).toHaveLength(2);
    expect(html).toMatch(/<button[^>]*disabled="">Answer</);
  });

  test('of a server that does not name its options by id is answered by their labels', () => {
    expect(words(drawn(panel({ choices: undefined })))).toContain('Yes No');
  });

  test('that ends by itself says in how long, by the clock of the server', () => {
    const ended = drawn(panel({ until: Date.now() - 1_000 }));
    expect(words(ended)).toContain('Without an answer it is denied in 0:00');
    const ahead = drawn(panel({ until: Date.now() + 60_500 }), { skew: -60_000 });
    expect(words(ahead)).toMatch(/denied in 2:00/);
  });

  test('about a diff tells its lines apart', () => {
    const html = drawn(panel({ call: 'diff --git a/x b/x\n@@ -1,1 +1,1 @@\n-old\n+new\n', isDiff: true }));
    expect(html).toMatch(/asked-line diff-[a-z]+">-old/);
    expect(html).not.toMatch(/(asked-line diff-[a-z]+)">-old.*\1">\+new/);
  });
});

describe('the line that says that work continues', () => {
  const line = createElement(WorkingLine);

  test('is there while nothing else on the page moves', () => {
    expect(words(drawn(line))).toBe('Working');
    expect(words(drawn(line, { session: { ...session, phase: 'starting', reason: 'Cloning acme/shop' } }))).toBe(
      'Cloning acme/shop',
    );
  });

  test.each<Phase>(['waiting', 'asking', 'parked', 'queued'])('is not there while the session is %s', (phase) => {
    expect(drawn(line, { session: { ...session, phase } })).toBe('');
  });

  test('is not there while a text streams, a tool runs or a step of the start is under way', () => {
    const open = [{ block: 'b', kind: 'text', turn: 1, text: 'I ', parentToolUseId: undefined }] as const;
    expect(drawn(line, { timeline: { ...emptyTimeline, open: [...open] } })).toBe('');
    const call = journal({ kind: 'tool-call', toolUseId: 't', name: 'Bash', input: { command: 'ls' } });
    expect(drawn(line, { outline: outlineOf(call) })).toBe('');
    const done = journal(
      { kind: 'tool-call', toolUseId: 't', name: 'Bash', input: { command: 'ls' } },
      { kind: 'tool-result', toolUseId: 't', text: 'ok', isError: false },
    );
    expect(words(drawn(line, { outline: outlineOf(done) }))).toBe('Working');
  });
});

describe('the header', () => {
  test('says plainly whether the page is live, and when waiting alone no longer helps', () => {
    const status = createElement(LinkStatus);
    const waiting = (silentMs: number) => {
      const link = { at: 'waiting', failures: 1, problem: 'no answer', since: Date.now() - silentMs } as const;
      return words(drawn(status, { link }));
    };
    expect(words(drawn(status))).toBe('Live');
    expect(waiting(0)).toBe('Reconnecting');
    expect(waiting(83_400)).toBe('No answer for 1:23');
    expect(words(drawn(status, { link: { at: 'gone' } }))).toBe('Not live');
  });

  test('counts the time of the turn, not of the phase, while Claude works', () => {
    const now = Date.now();
    const working = { ...session, phaseSince: now, turnStartedAt: now - 83_400 };
    expect(words(drawn(createElement(StatusPill, { session: working })))).toBe('Working 1:23');
    const saving = { ...working, phase: 'saving' as const, phaseSince: now - 5_400 };
    expect(words(drawn(createElement(StatusPill, { session: saving })))).toBe('Saving 0:05');
    const resting = { ...working, phase: 'waiting' as const, lastOutcome: 'completed' as const };
    expect(words(drawn(createElement(StatusPill, { session: resting })))).toBe('Done');
  });

  test('names the workspaces that Cyrus is shut out of, and is silent if there are none', () => {
    expect(drawn(createElement(ReinstallBanner, { workspaces: [] }))).toBe('');
    const html = drawn(createElement(ReinstallBanner, { workspaces: ['Acme', 'Umbrella'] }));
    expect(words(html)).toContain('lost access to Linear: Acme, Umbrella.');
    expect(html).toContain('href="/install"');
  });
});

describe('a message from this page', () => {
  const unsent = createElement(UnsentMessages, { edited: null, onEdit: () => {}, onLost: () => {} });
  const message = { id: '6a3f1c22-0000-4000-8000-000000000001', text: '<b>Go on</b>', at: 0 };

  test('says that it is being sent, and is text whatever it holds', () => {
    const html = drawn(createElement(OutgoingMessages), { outgoing: [{ ...message, state: 'sending' }] });
    expect(html).toContain('&lt;b&gt;Go on&lt;/b&gt;');
    expect(words(html)).toContain('sending…');
    expect(words(html)).not.toContain('Try again');
  });

  test('that was refused says why, and can be sent again, edited or withdrawn', () => {
    const outgoing = [{ ...message, state: 'refused', message: 'It is too long.' } as const];
    expect(words(drawn(unsent, { outgoing }))).toMatch(/Not sent: It is too long\. Try again Edit Withdraw$/);
  });

  test('that waits says for what, and can be sent, edited, moved and withdrawn', () => {
    const outgoing = [
      { ...message, state: 'pending', afterTurn: 1 } as const,
      { ...message, id: '6a3f1c22-0000-4000-8000-000000000002', state: 'pending', afterTurn: 1 } as const,
    ];
    const live = { at: 'live' } as const;
    const html = drawn(unsent, { outgoing, link: live });
    expect(html).toContain('&lt;b&gt;Go on&lt;/b&gt;');
    expect(words(html)).toMatch(
      /^2 messages not sent yet .*Will be sent after this turn, by this browser\. Send now Edit Withdraw .* Send now Edit Move up Withdraw$/,
    );
    const lost = { at: 'waiting', failures: 1, problem: 'x', since: 0 } as const;
    const now = [{ ...message, state: 'pending' } as const];
    expect(words(drawn(unsent, { outgoing: now, link: lost }))).toContain('Will be sent when the connection is back.');
    expect(drawn(createElement(OutgoingMessages), { outgoing: now, link: lost })).toBe('');
  });
});

describe('a turn on the page', () => {
  const entries = journal(
    {
      kind: 'prompt',
      promptId: 'p',
      agentSessionId: null,
      author: 'Ada',
      source: 'comment',
      text: '## **Fix** the cart',
    },
    { kind: 'turn-started', promptIds: ['p'] },
    { kind: 'text', text: 'I look at it.' },
    { kind: 'tool-call', toolUseId: 't', name: 'Bash', input: { command: 'npm test' } },
    { kind: 'tool-result', toolUseId: 't', text: 'ok', isError: false },
    {
      kind: 'turn-ended',
      outcome: 'completed',
      text: 'Mended.',
      reason: 'completed',
      durationMs: 83_000,
      usage: null,
      costUsd: null,
      numTurns: 1,
    },
  );
  /** The rows of this turn and of one after it, in which nothing happened yet. */
  const shown = (isOpen: boolean) => {
    const next = { seq: 7, at: 9_000, turn: 2, kind: 'turn-started', promptIds: [] } as const;
    const rows = timelineRows(outlineOf([...entries, { ...next, promptIds: [] }]), () => isOpen);
    return rows.map((row) => drawn(createElement(RowView, { row, onChoose: () => {} })));
  };

  test('that is folded shows what was asked, how it ended, how much was done and the answer, and no more', () => {
    const [head = '', ...rest] = shown(false);
    expect(words(head)).toMatch(/Done: Fix the cart 1 tool call.* 1 min 23 s/);
    expect(head).toContain('aria-expanded="false"');
    expect(words(rest.join(' '))).toContain('Mended.');
    expect(words(rest.join(' '))).not.toContain('I look at it.');
  });

  test('that is open shows all of it, and the last one has nothing to fold it by', () => {
    const html = shown(true);
    expect(html[0]).toContain('aria-expanded="true"');
    expect(words(html.join(' '))).toContain('I look at it.');
    const last = html.find((one) => words(one).startsWith('Turn 2'));
    expect(last).toBeDefined();
    expect(last).not.toContain('aria-expanded');
  });

  test('that failed says why and that nothing is lost, and repeats no words that are right above', () => {
    const ended = {
      ...entries[0],
      kind: 'turn-ended',
      outcome: 'failed',
      text: 'Half of it.',
      reason: 'The limit is used up',
      durationMs: 2_000,
      usage: null,
      costUsd: 0,
      numTurns: 1,
    } as const;
    const told = words(drawn(createElement(EndedItem, { entry: ended as never, repeats: false })));
    expect(told).toContain('Half of it.');
    expect(told).toContain('The limit is used up');
    expect(told).toContain('Nothing is lost');
    expect(words(drawn(createElement(EndedItem, { entry: ended as never, repeats: true })))).not.toContain(
      'Half of it.',
    );
  });

  test('that saved its work says how much, whether it was pushed, and what could not be', () => {
    const saved = {
      kind: 'saved',
      seq: 1,
      at: 0,
      turn: 1,
      branch: 'cyrus/eng-1',
      head: 'a'.repeat(40),
      commits: [],
      files: [
        { path: 'src/cart.js', additions: 3, deletions: 1 },
        { path: 'logo.png', additions: null, deletions: null },
      ],
      newCommits: 1,
      pushed: false,
      patchBytes: null,
      problem: 'The host refused it.',
    } as const;
    const text = words(
      drawn(createElement(SavedItem, { entry: { ...saved, commits: [], files: [...saved.files] }, durationMs: null })),
    );
    expect(text).toBe('1 new commit on cyrus/eng-1, not pushed 2 files +3 −1 The host refused it.');
    const nothing = { ...saved, commits: [], files: [], newCommits: 0, pushed: true, problem: undefined };
    expect(words(drawn(createElement(SavedItem, { entry: nothing, durationMs: null })))).toBe('Nothing changed');
  });
});

test('preparations that broke off with their turn are no success', () => {
  const entries = journal({ kind: 'step', step: 'mirror', status: 'started' });
  const steps = entries.filter((entry) => entry.kind === 'step');
  expect(words(drawn(createElement(StepsItem, { entries: steps, running: true })))).toMatch(
    /^Fetching the repository /,
  );
  const html = drawn(createElement(StepsItem, { entries: steps, running: false }));
  expect(html).toContain('steps-failed');
  expect(words(html)).toBe('Fetching the repository did not end');
});

describe('a tool call on the page', () => {
  const call = {
    kind: 'tool-call',
    seq: 1,
    at: 1_000,
    turn: 1,
    toolUseId: 't',
    name: 'Bash',
    input: { command: 'ls' },
  } as const;
  const row = (more: Partial<ToolCall>, running = true) => {
    const tool: ToolCall = {
      type: 'tool',
      key: 1,
      id: 't',
      call,
      result: null,
      stopped: false,
      tasks: [],
      items: [],
      ...more,
    };
    return drawn(createElement(ToolRow, { tool, running, drawItems: () => null }));
  };
  const result = {
    kind: 'tool-result',
    seq: 2,
    at: 4_000,
    turn: 1,
    toolUseId: 't',
    text: 'Error: no such file',
    isError: true,
  } as const;

  test('that failed shows the line that says why; one that a person stopped is no failure', () => {
    expect(words(row({ result }))).toMatch(/failed.*Error: no such file/);
    expect(words(row({ result, stopped: true }))).not.toContain('failed');
    expect(words(row({ result, stopped: true }))).toContain('stopped');
  });

  test('without a result runs while its turn does, and says that there is none once the turn is over', () => {
    expect(words(row({}))).not.toContain('no result');
    expect(words(row({}, false))).toContain('no result');
  });

  test('says how long it took if that is worth saying', () => {
    expect(words(row({ result: { ...result, isError: false } }))).toMatch(/3(\.0)? s$/);
    expect(words(row({ result: { ...result, isError: false, at: 1_500 } }))).not.toMatch(/\ds$|\d s$/);
  });
});

test('changes that cannot be drawn or loaded leave a way to the patch and back to the session', () => {
  const html = drawn(createElement(UndrawnChanges));
  expect(words(html)).toBe(
    'The changes could not be drawn. Reload the page, or download the patch . Close the changes',
  );
  expect(html).toContain('href="/api/sessions/s-1/patch"');
});
