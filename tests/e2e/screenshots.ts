/**
 * `npm run screenshots`: takes the picture of the live page that README shows, docs/live-page.png. The sample issue is assigned in
 * the simulator and worked on by the scripted model, as with `npm start`; the picture is of the end. Needs Chromium.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../dev/settings.ts';
import { LinearThread } from './linear-thread.ts';
import { LivePage } from './live-page.ts';
import { endProcesses, makeFolder, setStage } from './stage.ts';

const FILE = join(PROJECT, 'docs', 'live-page.png');
const MAX_BYTES = 300_000;
const TURN_LIMIT_MS = 180_000;

async function takePicture(folder: string): Promise<void> {
  const stage = await setStage(folder);
  try {
    const linear = await stage.browser.newPage();
    await linear.goto(stage.stack.linear.url);
    await linear.getByRole('link', { name: /ENG-1/ }).click();
    await linear.getByRole('button', { name: 'Assign to Cyrus', exact: true }).click();
    await linear.getByRole('link', { name: 'Live session' }).waitFor();
    const { pageUrl } = await new LinearThread(stage.stack.linear, 'ENG-1').livePage();
    const live = await LivePage.open(stage.browser, stage.console, pageUrl);
    await live.turnEnded(1, TURN_LIMIT_MS);
    await live.page.getByRole('banner').getByRole('link', { name: 'Pull request #1' }).waitFor();
    await live.page.screenshot({ path: FILE, animations: 'disabled' });
  } finally {
    await stage.close();
  }
}

const folder = makeFolder();
mkdirSync(join(folder, 'pictures'));
try {
  await takePicture(folder);
} finally {
  endProcesses(folder);
  rmSync(folder, { recursive: true, force: true });
}
const { size } = statSync(FILE);
if (size > MAX_BYTES) throw new Error(`${FILE} has ${size} bytes; README's picture has at most ${MAX_BYTES}`);
console.log(`${FILE}: ${size} bytes`);
process.exit(0);
