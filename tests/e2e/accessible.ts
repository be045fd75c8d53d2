/** Whether a page can be used by everybody, as far as a program can tell (axe). */
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { same } from './run.ts';

/** @throws Unkept naming the rules that are broken, and where */
export async function accessible(what: string, page: Page): Promise<void> {
  same(`What axe finds on ${what}`, await problemsOn(page), []);
}

/** The rules that a page breaks, and where, one line each. */
export async function problemsOn(page: Page): Promise<string[]> {
  await page.evaluate(fadesEnded);
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`);
}

/** In the middle of a fade, text has a contrast that nobody reads it by. An animation without an end is not waited for. */
async function fadesEnded(): Promise<void> {
  const hasEnd = ({ effect }: Animation) => effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY;
  // One that is cancelled is over, too.
  await Promise.allSettled(
    document
      .getAnimations()
      .filter(hasEnd)
      .map(({ finished }) => finished),
  );
}
