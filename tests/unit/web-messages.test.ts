import { describe, expect, test } from 'vitest';
import type { SessionView } from '../../src/protocol/viewer.ts';
import type { Answer } from '../../src/web/api.ts';
import { held, type Outgoing, released, unheld, waitOf } from '../../src/web/live/outgoing.ts';
import { OutgoingStore } from '../../src/web/live/outgoing-store.ts';
import { browserLocks, type Locks, PromptSender } from '../../src/web/live/prompt-sender.ts';
import { sessionView } from './support/session-view.ts';

const SESSION = 's-1';
const NOW = 1_000_000_000;
const taken: Answer<true> = { ok: true, value: true, skew: 0 };
const away: Answer<true> = { ok: false, kind: 'unreachable', message: 'The server cannot be reached.' };
const refused: Answer<true> = { ok: false, kind: 'refused', message: 'You may not write here.' };
const id = (n: number) => `6a3f1c22-0000-4000-8000-00000000000${n}`;
const written = (n: number, more: Partial<Outgoing> = {}): Outgoing => ({
  ...{ id: id(n), text: `message ${n}`, at: NOW + n, order: NOW + n, state: 'pending' },
  ...more,
});

/** What the tabs of one browser share: the storage, whose changes the other tabs hear of, and the locks. */
class Browser {
  readonly tabs: Tab[] = [];
  readonly #kept = new Map<string, string>();
  readonly #busy = new Map<string, Promise<unknown>>();

  storageFor(tab: () => Tab): Storage {
    const told = (key: string, newValue: string | null) => {
      for (const other of this.tabs) if (other !== tab()) other.messages.changedElsewhere({ key, newValue });
    };
    const methods = {
      getItem: (key: string) => this.#kept.get(key) ?? null,
      setItem: (key: string, value: string) => {
        this.#kept.set(key, value);
        told(key, value);
      },
      removeItem: (key: string) => {
        this.#kept.delete(key);
        told(key, null);
      },
    };
    return new Proxy(methods as Storage, {
      ownKeys: () => [...this.#kept.keys()],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    });
  }

  readonly locks: Locks = {
    whenFree: async (name, run) => {
      while (this.#busy.has(name)) await this.#busy.get(name);
      const running = run().finally(() => this.#busy.delete(name));
      this.#busy.set(
        name,
        running.catch(() => {}),
      );
      return await running;
    },
    ifFree: async (name, run) => (this.#busy.has(name) ? null : await this.locks.whenFree(name, run)),
  };
}

interface Tab {
  messages: OutgoingStore;
  sender: PromptSender;
  shown: readonly Outgoing[];
}

/** A page of a session, with a server that answers as the test says. */
class Page {
  session: SessionView = { ...sessionView(), phase: 'working', turn: 3 };
  isLive = true;
  isReachable = true;
  isEnded = false;
  readonly posted: { id: string; text: string }[] = [];
  answer: (prompt: { id: string; text: string }) => Answer<true> | Promise<Answer<true>> = () => taken;
  readonly browser: Browser;
  readonly tab: Tab;

  constructor(browser = new Browser(), now = NOW) {
    this.browser = browser;
    const tab: Partial<Tab> & Pick<Tab, 'shown'> = { shown: [] };
    const messages = new OutgoingStore({
      session: SESSION,
      storage: browser.storageFor(() => tab as Tab),
      now,
      onChange: (shown) => {
        tab.shown = shown;
      },
    });
    const sender = new PromptSender({
      session: SESSION,
      messages,
      locks: browser.locks,
      situation: () => this,
      post: async (prompt) => {
        this.posted.push(prompt);
        return await this.answer(prompt);
      },
      isReachable: async () => this.isReachable,
      pause: async () => {},
      isEnded: () => this.isEnded,
    });
    this.tab = Object.assign(tab, { messages, sender });
    browser.tabs.push(this.tab);
  }

  states(): string[] {
    return this.tab.messages.list().map(({ text, state }) => `${text}: ${state}`);
  }

  async write(...messages: Outgoing[]): Promise<void> {
    for (const message of messages) this.tab.messages.put(message);
    await this.tab.sender.run();
  }
}

describe('messages written on a page', () => {
  test('arrive in the order in which they were written, also when the first needs several tries', async () => {
    const page = new Page();
    let tries = 0;
    page.answer = () => (++tries < 3 ? away : taken);
    await page.write(written(1), written(2));
    expect(page.posted.map(({ text }) => text)).toEqual(['message 1', 'message 1', 'message 1', 'message 2']);
    expect(new Set(page.posted.map((each) => each.id)).size).toBe(2);
    expect(page.states()).toEqual(['message 1: accepted', 'message 2: accepted']);
  });

  test('without a connection are kept and not tried, so that they can still be withdrawn', async () => {
    const page = new Page();
    page.isLive = false;
    page.isReachable = false;
    let pauses = 0;
    const sender = page.tab.sender;
    page.answer = () => {
      throw new Error('nothing is tried');
    };
    page.tab.messages.put(written(1));
    page.tab.messages.put(written(2));
    const running = sender.run();
    expect(await sender.change(id(1), () => null)).toBe(true);
    expect(waitOf(written(2), page)).toBe('connection');
    page.answer = () => {
      pauses += 1;
      return taken;
    };
    page.isLive = true;
    await running;
    expect(pauses).toBe(1);
    expect(page.posted.map(({ text }) => text)).toEqual(['message 2']);
  });

  test('for the end of a turn wait for it, and let others pass', async () => {
    const page = new Page();
    await page.write(written(1, { afterTurn: 3 }), written(2));
    expect(page.states()).toEqual(['message 1: pending', 'message 2: accepted']);
    page.session = { ...page.session, phase: 'saving' };
    await page.tab.sender.run();
    expect(page.posted).toHaveLength(1);
    page.session = { ...page.session, phase: 'waiting', lastOutcome: 'completed' };
    await page.tab.sender.run();
    expect(page.states()[0]).toBe('message 1: accepted');
  });

  test.each(['stopped', 'failed'] as const)('for the end of a turn that %s wait for a person', async (outcome) => {
    const page = new Page();
    await page.write(written(1, { afterTurn: 3 }));
    page.session = { ...page.session, phase: 'waiting', lastOutcome: outcome };
    await page.tab.sender.run();
    expect(page.posted).toEqual([]);
    expect(page.tab.messages.list()[0]).toMatchObject({ state: 'held', message: expect.stringContaining(outcome) });
    expect(await page.tab.sender.change(id(1), released)).toBe(true);
    await page.tab.sender.run();
    expect(page.states()).toEqual(['message 1: accepted']);
  });

  test('that the server refuses say why, and do not hold up later ones', async () => {
    const page = new Page();
    page.answer = ({ id: one }) => (one === id(1) ? refused : taken);
    await page.write(written(1), written(2));
    expect(page.tab.messages.list()).toMatchObject([
      { state: 'refused', message: 'You may not write here.' },
      { state: 'accepted' },
    ]);
  });

  test('that somebody edits are not sent meanwhile', async () => {
    const page = new Page();
    page.isLive = false;
    page.isReachable = false;
    page.tab.messages.put(written(1));
    await page.tab.sender.change(id(1), (message) => held(message));
    page.isLive = true;
    await page.tab.sender.run();
    expect(page.posted).toEqual([]);
    await page.tab.sender.change(id(1), (message) => ({ ...message, id: id(2), text: 'better', state: 'pending' }));
    await page.tab.sender.run();
    expect(page.posted).toEqual([{ id: id(2), text: 'better' }]);
  });

  test('cannot be changed while they are sent, nor when the server may have them', async () => {
    const page = new Page();
    const { promise, resolve } = Promise.withResolvers<Answer<true>>();
    page.answer = () => promise;
    page.tab.messages.put(written(1));
    const running = page.tab.sender.run();
    await new Promise((done) => setImmediate(done));
    expect(await page.tab.sender.change(id(1), () => null)).toBe(false);
    page.isEnded = true;
    resolve(away);
    await running;
    const again = new Page(page.browser);
    expect(again.states()).toEqual(['message 1: sending']);
    expect(await again.tab.sender.change(id(1), () => null)).toBe(false);
  });

  test('that the journal shows before the answer comes do not come back with it', async () => {
    const page = new Page();
    page.answer = () => {
      page.tab.messages.remove([id(1)]);
      return taken;
    };
    await page.write(written(1));
    expect(page.states()).toEqual([]);
  });
});

describe('messages and a page that is opened again', () => {
  test('are sent under the same id', async () => {
    const before = new Page();
    before.answer = () => {
      before.isEnded = true;
      return away;
    };
    await before.write(written(1));
    const after = new Page(before.browser);
    await after.tab.sender.run();
    expect(after.posted).toEqual([{ id: id(1), text: 'message 1' }]);
  });

  test('are not sent unasked when the page was closed for hours', async () => {
    const before = new Page();
    before.isEnded = true;
    await before.write(written(1));
    const after = new Page(before.browser, NOW + 3 * 3_600_000);
    await after.tab.sender.run();
    expect(after.posted).toEqual([]);
    expect(after.states()).toEqual(['message 1: held']);
    // Somebody begins to edit it, and gives that up.
    await after.tab.sender.change(id(1), (message) => (message.state === 'pending' ? held(message) : message));
    await after.tab.sender.change(id(1), unheld);
    await after.tab.sender.run();
    expect(after.states()).toEqual(['message 1: held']);
    expect(await after.tab.sender.change(id(1), released)).toBe(true);
    await after.tab.sender.run();
    expect(after.states()).toEqual(['message 1: accepted']);
  });

  test('are forgotten when the server had accepted them: the journal shows them', async () => {
    const before = new Page();
    await before.write(written(1));
    expect(new Page(before.browser).states()).toEqual([]);
  });

  test('of an unknown shape are passed over', () => {
    const browser = new Browser();
    browser.storageFor(() => new Page(browser).tab).setItem(`cyrus:outgoing:${SESSION}:x`, '{"id":7}');
    expect(new Page(browser).states()).toEqual([]);
  });
});

describe('messages and two tabs', () => {
  test('are shown in both, and sent once', async () => {
    const one = new Page();
    const other = new Page(one.browser);
    one.tab.messages.put(written(1));
    one.tab.messages.put(written(2));
    expect(other.states()).toEqual(one.states());
    await Promise.all([one.tab.sender.run(), other.tab.sender.run()]);
    expect([...one.posted, ...other.posted].map(({ text }) => text).toSorted()).toEqual(['message 1', 'message 2']);
    expect(other.states()).toEqual(['message 1: accepted', 'message 2: accepted']);
  });

  test('withdrawn in one are not sent by the other', async () => {
    const one = new Page();
    const other = new Page(one.browser);
    one.tab.messages.put(written(1, { afterTurn: 3 }));
    expect(await other.tab.sender.change(id(1), () => null)).toBe(true);
    one.session = { ...one.session, phase: 'waiting', lastOutcome: 'completed' };
    await one.tab.sender.run();
    expect(one.posted).toEqual([]);
  });

  test('withdrawn in one do not come back when the turn fails that they waited for', async () => {
    const page = new Page();
    page.tab.messages.put(written(1, { afterTurn: 3 }));
    // The other tab withdrew it, and this one was not told yet.
    page.browser.storageFor(() => page.tab).removeItem(`cyrus:outgoing:${SESSION}:${id(1)}`);
    page.session = { ...page.session, phase: 'waiting', lastOutcome: 'failed' };
    await page.tab.sender.run();
    expect(page.states()).toEqual([]);
  });

  test('are gone from both when somebody signs out', () => {
    const page = new Page();
    page.tab.messages.put(written(1));
    page.tab.messages.changedElsewhere({ key: null, newValue: null });
    expect(page.tab.shown).toEqual([]);
  });
});

describe('the locks of a browser', () => {
  const manager = (request: () => Promise<unknown>) => browserLocks({ request: request as LockManager['request'] });

  test.each([
    ['has none', browserLocks(undefined)],
    ['forbids them', manager(() => Promise.reject(new DOMException('No storage here.', 'SecurityError')))],
  ])('keep nothing from being sent if the browser %s', async (_, locks) => {
    expect(await locks.whenFree('a', async () => 'sent')).toBe('sent');
    expect(await locks.ifFree('a', async () => 'changed')).toBe('changed');
  });

  test('pass on what fails under them, and try it once', async () => {
    let tries = 0;
    const locks = browserLocks({ request: navigatorLike() });
    const failing = locks.whenFree('a', async () => {
      tries += 1;
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    expect(tries).toBe(1);
  });
});

/** The request of a lock that is free. */
function navigatorLike(): LockManager['request'] {
  const request = async (name: string, _: LockOptions, run: LockGrantedCallback<unknown>) =>
    await run({ name, mode: 'exclusive' });
  return request as LockManager['request'];
}
