/** Where the run takes place: the whole of Cyrus as `npm start` has it, in a folder of its own, with a real browser beside it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { freePorts } from '../../dev/settings.ts';
import { type Stack, type StackOptions, startStack } from '../../dev/stack.ts';
import { type Console, watchConsole } from './console.ts';
import type { ContainerMachine } from './container-machine.ts';
import { type Run, same, until } from './run.ts';
import { type SandboxMachine, thisMachine } from './sandbox-machine.ts';

const BROWSER_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
];

export interface Stage {
  stack: Stack;
  /** Where the sandboxes are. */
  machine: SandboxMachine;
  browser: BrowserContext;
  /** What the browser's pages complained about. */
  console: Console;
  /** Takes a picture of every open page. `name` becomes part of the file names. */
  picture(name: string): Promise<void>;
  closeBrowser(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Makes the folder of a run under the machine's temporary folder. Everything started from now on has its temporary
 * files there too, so that all processes of the run can be told by it.
 */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-e2e-'));
  mkdirSync(join(folder, 'tmp'));
  process.env.TMPDIR = join(folder, 'tmp');
  return folder;
}

/**
 * Starts all of it.
 * @param folder databases, repositories, logs and pictures go there
 * @param containers see StackOptions
 * @param variables of the Worker that differ
 */
export async function setStage(
  folder: string,
  containers?: ContainerMachine,
  variables: Record<string, string> = {},
): Promise<Stage> {
  const stack = await setStack({ folder, variables, ...(containers && { containers: containers.engine }) });
  let browser: Browser | null = null;
  try {
    browser = await launchBrowser();
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-US' });
    context.setDefaultTimeout(15_000);
    const closeBrowser = async () => {
      await browser?.close();
      browser = null;
    };
    return {
      stack,
      machine: containers ?? thisMachine(stack.sandboxRoot),
      browser: context,
      console: watchConsole(context),
      picture: async (name) => {
        const pages = browser === null ? [] : context.pages();
        for (const [index, page] of pages.entries()) {
          await page.screenshot({ path: join(folder, 'pictures', `${name}-${index + 1}.png`) });
        }
      },
      closeBrowser,
      close: async () => {
        await closeBrowser();
        await stack.close();
      },
    };
  } catch (error) {
    await browser?.close();
    await stack.close();
    throw error;
  }
}

/** A stack on free ports, unless others are given, with the scripted model answering at once. */
export async function setStack(
  options: Omit<StackOptions, 'ports' | 'claude'> & Partial<Pick<StackOptions, 'ports'>>,
): Promise<Stack> {
  return startStack({ ports: await freePorts(), claude: { kind: 'scripted' }, pace: 0, ...options });
}

/** What an admin sets for the sample repository, which keeps its address and credential. */
export async function setRepository({ url, secrets, linear, git }: Stack, settings: object): Promise<void> {
  const response = await fetch(`${url}/api/admin/workspaces/${linear.workspace.id}/repositories/${SAMPLE_REPOSITORY}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${secrets.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      cloneUrl: git.cloneUrl(SAMPLE_REPOSITORY),
      baseBranch: 'main',
      credential: { kind: 'github-app' },
      settings,
    }),
  });
  same('The settings of the repository are taken', response.status, 200);
}

/** Starts Chromium. @throws Error that says how to install it */
export function launchBrowser(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: BROWSER_ARGUMENTS }).catch((error: unknown) => {
    throw new Error(
      `Chromium did not start from ${executablePath}: install it (apt-get install chromium) or set CHROMIUM to its path.\n${String(error)}`,
    );
  });
}

/**
 * Processes that belong to a run: everything that has its folder in its command line or environment.
 * @returns process ids with their command lines
 */
export function processesOf(folder: string): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      if (command.includes(folder) || environment.includes(folder)) found.push({ pid, command });
    } catch {
      // Gone, a zombie, or not ours to read.
    }
  }
  return found;
}

/** Waits until no process of the run is left. @throws Unkept naming those that stay */
export function nothingRuns(folder: string): Promise<boolean> {
  return until('the end of every process of the run', () => processesOf(folder).length === 0, {
    limitMs: 5_000,
    describe: () => processesOf(folder),
  });
}

/** Ends what is left of a run, whatever state it is in. */
export function endProcesses(folder: string): void {
  for (const { pid } of processesOf(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone meanwhile.
    }
  }
}

/** What a kept promise leaves behind: logs and pictures, no databases, checkouts or secrets. */
export function keepEvidenceOnly(run: Run, folder: string): void {
  const kept = run.evidence.map((evidence) => evidence.path);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!kept.includes(path)) rmSync(path, { recursive: true, force: true });
  }
}
