/** The live page as a person sees it in the browser. */
import type { BrowserContext, Page } from 'playwright-core';
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
    await this.#turn(turn).getByLabel('Outcome').waitFor({ timeout: limitMs });
  }

  /** Whether the page shows an end of its newest turn. */
  async hasEnded(): Promise<boolean> {
    return (await this.page.getByLabel('Outcome').count()) > 0;
  }

  /** Text that is being streamed right now; empty where none is. */
  async streamedText(): Promise<string> {
    return (await this.page.locator('.streaming').allInnerTexts()).join('\n');
  }

  /** What the page says of its connection: "Live", "Reconnecting", … */
  async connection(): Promise<string> {
    return (await this.page.locator('.link-word').textContent()) ?? '';
  }

  /** Everything the timeline shows, as text. */
  async timeline(): Promise<string> {
    return (await this.page.locator('main.timeline').allInnerTexts()).join('\n');
  }

  /** Tool calls the page shows, in order, as "Bash npm test". */
  toolCalls(): Promise<string[]> {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('.tool')].map((row) =>
        ['.tool-label', '.tool-subject'].map((part) => row.querySelector(part)?.textContent ?? '').join(' '),
      ),
    );
  }

  /** What Claude said, in order: each finished text. */
  texts(): Promise<string[]> {
    return this.page.locator('.item-text').allInnerTexts();
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

  #turn(turn: number) {
    return this.page.getByLabel(`Turn ${turn}`, { exact: true });
  }
}
