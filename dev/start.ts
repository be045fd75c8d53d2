/** `npm start`: the whole of Cyrus on this machine, with stand-ins for what cannot be reached from here. */
import { join } from 'node:path';
import { z } from 'zod';
import { claudeChoice, PROJECT, SetupProblem, usualPorts } from './settings.ts';
import { type Stack, startStack } from './stack.ts';

/** Milliseconds between two pieces of a scripted answer: about the speed of a model, so that there is something to watch. */
const PACE_MS = 40;

async function main(): Promise<void> {
  const claude = claudeChoice();
  const ports = await usualPorts(process.env);
  const stack = await startStack({
    folder: join(PROJECT, '.cyrus'),
    ports,
    claude,
    pace: PACE_MS,
    keepsIssues: true,
    sandboxVariables: { CYRUS_WALLS: process.env.CYRUS_WALLS ?? 'auto' },
    // How people sign in can be tried here too, see docs/sign-in.md.
    variables: given(['SIGN_IN', 'OWNERS']),
    onProgress: (what) => console.log(`  starting ${what}`),
  });
  console.log(welcome(stack, await wallsOf(stack)));
  let ending = false;
  const end = async () => {
    if (ending) return;
    ending = true;
    console.log('\nStopping.');
    await stack.close();
    process.exit(0);
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  await stack.worker.child.ended;
  if (ending) return;
  console.error(`cyrus: the Worker has ended by itself; its log is ${join(stack.folder, 'logs', 'worker.log')}`);
  await stack.close();
  process.exit(1);
}

/** Those of these variables that the environment has. */
function given(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

const healthSchema = z.object({ walls: z.string() });

/** What separates the sessions of this run, in one line. */
async function wallsOf(stack: Stack): Promise<string> {
  const { walls } = healthSchema.parse(await (await fetch(`${stack.sandboxUrl}/health`)).json());
  if (walls === 'users') return 'Each session runs as a user of its own.';
  if (walls === 'namespaces') return 'Each session runs in namespaces of its own (bubblewrap).';
  return 'Nothing separates the sessions from each other and from your files: see “Walls” in docs/sandboxes.md (the log says what is missing).';
}

function welcome(stack: Stack, walls: string): string {
  const model = stack.model
    ? [
        'A scripted model answers in place of Claude: it repairs the sample repository, whatever is asked.',
        'To have Claude itself at work, put CLAUDE_CODE_OAUTH_TOKEN=… into .dev.vars (`claude setup-token` prints it) and start again.',
      ]
    : ['Claude answers, paid by the credential in .dev.vars.'];
  return `
  Cyrus             ${stack.url}
  Linear simulator  ${stack.linear.url}
  GitHub stand-in   ${stack.github.url}

${model.map((line) => `  ${line}`).join('\n')}

  What to do next
  1. Open the Linear simulator, take the issue that is there or create one, and assign it to Cyrus.
  2. Follow the link "Live session" that appears in the issue, and watch.
  3. Comment in the issue to continue the conversation; press Stop to stop it.
  4. Follow the link "Pull request #1" in the issue, look at the change, and merge it: ${stack.github.url}
     All branches: ${stack.git.url}

  ${walls}
  Logs are in .cyrus/logs; delete the folder .cyrus to start over. Ctrl-C ends everything.
`;
}

main().catch((error: unknown) => {
  // What a person can put right is one line; anything else is a fault of ours and comes with its stack.
  console.error('cyrus:', error instanceof SetupProblem ? error.message : error);
  process.exit(1);
});
