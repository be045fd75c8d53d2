/**
 * `npm run pictures [-- NAME…]`: a picture of every state of the pages, or of those whose names begin so, light, dark and on a phone, in
 * `.cyrus/pictures`; axe looks at each. Exits with 1 if axe finds something. Needs Chromium, and `npm run build:web` before.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { PROJECT } from '../../dev/settings.ts';
import { problemsOn } from '../e2e/accessible.ts';
import { launchBrowser } from '../e2e/stage.ts';
import { openPage } from './page-host.ts';
import { type PageState, STATES } from './states.ts';

const FOLDER = join(PROJECT, '.cyrus', 'pictures');
const LIMIT_MS = 15_000;

const desktop = { viewport: { width: 1280, height: 900 }, locale: 'en-US' };
const phone = { viewport: { width: 390, height: 800 }, locale: 'en-US', hasTouch: true, isMobile: true };
const LOOKS: Record<string, BrowserContextOptions> = {
  light: { ...desktop, colorScheme: 'light' },
  dark: { ...desktop, colorScheme: 'dark' },
  phone: { ...phone, colorScheme: 'light' },
  'phone-dark': { ...phone, colorScheme: 'dark' },
};

/** Takes the picture of a state. @returns what axe finds, one line each */
async function take(browser: Browser, state: PageState, look: string): Promise<string[]> {
  const context = await browser.newContext(LOOKS[look]);
  context.setDefaultTimeout(LIMIT_MS);
  try {
    const page = await openPage(context, state.path ?? '/sessions/session', state.known);
    await page.locator('main, .session').first().waitFor();
    await state.act?.(page);
    // What appears late, and what a font still changes.
    await page.waitForTimeout(900);
    await page.screenshot({ path: join(FOLDER, `${state.name}-${look}.png`), animations: 'disabled' });
    return await problemsOn(page);
  } finally {
    await context.close();
  }
}

const wanted = process.argv.slice(2);
const states = STATES.filter(({ name }) => wanted.length === 0 || wanted.some((start) => name.startsWith(start)));
mkdirSync(FOLDER, { recursive: true });
const browser = await launchBrowser();
try {
  for (const state of states) {
    for (const look of Object.keys(LOOKS)) {
      const problems = await take(browser, state, look).catch((error: unknown) => [String(error)]);
      if (problems.length > 0) process.exitCode = 1;
      for (const problem of problems) console.error(`✗ ${state.name}, ${look}: ${problem}`);
    }
    console.log(state.name);
  }
} finally {
  await browser.close();
}
console.log(`${states.length} states in ${FOLDER}`);
