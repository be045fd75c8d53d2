/** What the pages of a browser complain about in their consoles. */
import type { BrowserContext, Page } from 'playwright-core';

/** A browser says so by itself when a request or socket fails: that is no fault of the page while the network is down. */
const NETWORK = /ERR_|WebSocket connection to|Failed to load resource|NetworkError|Failed to fetch/;

export interface Console {
  /** Errors and uncaught exceptions so far, with the page they came from. */
  readonly errors: string[];
  /** Complaints about the network are expected while `act` runs. */
  whileNetworkIsDown<T>(act: () => Promise<T>): Promise<T>;
}

/** Listens to all pages of a browser context, from now on. */
export function watchConsole(context: BrowserContext): Console {
  const errors: string[] = [];
  let networkIsDown = false;
  const note = (page: Page | null, text: string) => {
    if (!(networkIsDown && NETWORK.test(text))) errors.push(`${page?.url() ?? 'a page'}: ${text}`);
  };
  context.on('console', (message) => {
    if (message.type() === 'error') note(message.page(), message.text());
  });
  context.on('weberror', (failure) => note(failure.page(), String(failure.error())));
  return {
    errors,
    whileNetworkIsDown: async (act) => {
      networkIsDown = true;
      try {
        return await act();
      } finally {
        networkIsDown = false;
      }
    },
  };
}
