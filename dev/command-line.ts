/** What the commands of dev/ share: how their options are read, and how they end. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from '../src/lib/error.ts';
import { DeploymentProblem } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { ArchiveProblem } from './operate/archive.ts';
import { TarProblem } from './operate/tar.ts';
import { SetupProblem } from './settings.ts';

/**
 * Reads a command line as `parseArgs` of Node does.
 * @param config its arguments and the options that there are
 * @throws UsageProblem that names what is wrong
 */
export function parseCommand<Config extends ParseArgsConfig>(config: Config): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const [first = ''] = messageOf(error).split('. ');
    throw new UsageProblem(`${first.replace(/\.$/, '')}; see --help.`);
  }
}

/**
 * Runs a command. One that fails ends the process with 1, or with 2 if it was called wrongly.
 * @param main rejects with what went wrong
 */
export function runCommand(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    // What a person can put right is one line; anything else is a fault of ours and comes with its stack.
    const isKnown = [UsageProblem, DeploymentProblem, SetupProblem, ArchiveProblem, TarProblem].some(
      (known) => error instanceof known,
    );
    console.error('cyrus:', isKnown ? messageOf(error) : error);
    process.exitCode = error instanceof UsageProblem ? 2 : 1;
  });
}
