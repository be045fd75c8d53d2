/** The live page as a person sees it in the browser. */
import type { BrowserContext, Locator, Page } from 'playwright-core';
import type { Console } from './console.ts';
import { until } from './run.ts';

export class LivePage {
  readonly page: Page;
  readonly #context: BrowserContext;
  readonly #console: Console;

  constructor(page: Page, console: Console) {
    this.page = page;
    this.#context = page.context();
    this.#console = console;
  }

  /** Opens a session's page in a new tab whose sockets can be cut. */
  static async open(context: BrowserContext, console: Console, url: string): Promise<LivePage> {
    const page = await context.newPage();
    await page.addInitScript(() => {
      const sockets = new Set<WebSocket>();
      window.WebSocket = class extends WebSocket {
        constructor(address: string | URL, protocols?: string | string[]) {
          super(address, protocols);
          sockets.add(this);
        }
      };
      Object.assign(window, {
        cutSockets: () => {
          for (const socket of sockets) socket.close();
        },
      });
    });
    await page.goto(url);
    return new LivePage(page, console);
  }

  /** Waits until the page shows how turn `turn` ended. */
  async turnEnded(turn: number, limitMs = 60_000): Promise<void> {
    await this.turn(turn).getByLabel('Outcome').waitFor({ timeout: limitMs });
  }

  /** Whether the page shows an end of its newest turn. */
  async hasEnded(): Promise<boolean> {
    return (await this.page.getByLabel('Outcome').count()) > 0;
  }

  /** Text that is being streamed right now; empty if none is. */
  async streamedText(): Promise<string> {
    return (await this.page.locator('.streaming').allInnerTexts()).join('\n');
  }

  /** What the page says of its connection: "Live", "Reconnecting", … */
  async connection(): Promise<string> {
    return (await this.page.locator('.link-word').textContent()) ?? '';
  }

  /** Everything the timeline shows, as text. */
  async timeline(): Promise<string> {
    return (await this.#rows(null)).join('\n');
  }

  /** Tool calls the page shows, in order, as "Bash npm test". */
  toolCalls(): Promise<string[]> {
    return this.#rows('.tool .tool-label, .tool .tool-subject');
  }

  /** What Claude said, in order: each finished text. */
  texts(): Promise<string[]> {
    return this.#rows('.item-text');
  }

  /**
   * The texts of all rows that have some of what is looked for: only those near the screen are in the document, so the timeline is scrolled
   * through, with every group of calls opened.
   */
  #rows(parts: string | null): Promise<string[]> {
    return this.page.evaluate(async (selector) => {
      const box = document.querySelector('main.timeline');
      if (box === null) throw new Error('there is no timeline');
      const drawn = async () => {
        for (let frame = 0; frame < 3; frame += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
      };
      const walk = async (look: () => void) => {
        box.scrollTop = 0;
        for (;;) {
          await drawn();
          look();
          if (box.scrollTop + box.clientHeight >= box.scrollHeight - 2) break;
          box.scrollTop += box.clientHeight * 0.7;
        }
      };
      await walk(() => {
        for (const group of document.querySelectorAll<HTMLElement>('.group-line[aria-expanded="false"]')) group.click();
      });
      const texts = new Map<number, string>();
      await walk(() => {
        for (const row of document.querySelectorAll<HTMLElement>('.vrow')) {
          const found = selector === null ? [row] : [...row.querySelectorAll<HTMLElement>(selector)];
          // biome-ignore lint/performance/useDomNodeTextContent: what a person sees, with its line breaks
          const text = found.map((part) => (selector?.includes(',') ? part.textContent : part.innerText)).join(' ');
          if (text !== '') texts.set(Number(row.dataset.index), text);
        }
      });
      return [...texts].toSorted(([one], [other]) => one - other).map(([, text]) => text);
    }, parts);
  }

  /**
   * The network is gone for a while, as for a laptop that is closed: sockets die, none can be opened, until it is back.
   * @returns once the page says that it is live again
   */
  async loseNetwork(ms: number): Promise<void> {
    await this.#console.whileNetworkIsDown(async () => {
      await this.#context.setOffline(true);
      await this.page.evaluate(() => (window as unknown as { cutSockets(): void }).cutSockets());
      await until('the page to notice that it is not live', async () => (await this.connection()) !== 'Live');
      await this.page.waitForTimeout(ms);
      await this.#context.setOffline(false);
      await until('the page to be live again', async () => (await this.connection()) === 'Live');
    });
  }

  /** The rows of a turn that are in the document. */
  turn(turn: number): Locator {
    return this.page.locator(`.vrow[data-turn="${turn}"]`);
  }
}
