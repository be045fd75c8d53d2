/** Whether a page can be used by everybody, as far as a program can tell (axe). */
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { same } from './run.ts';

/** @throws Unkept naming the rules that are broken, and where */
export async function accessible(what: string, page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`);
  same(`What axe finds on ${what}`, found, []);
}
