/** The machine, or machines, on which the sandboxes of a run are, as a test looks into them. */
import { type ProbeAnswer, type ProbeInput, type ProbeName, probes } from './sandbox-probe.ts';
import type { Secret } from './secrets.ts';

export interface SandboxMachine {
  /** Folder of the sandbox server, as the server knows it. */
  readonly root: string;
  /** Asks about a session. @param onLooking called when the probe is at work: getting it there may take a while */
  ask<Name extends ProbeName>(
    name: Name,
    id: string,
    input?: Partial<Pick<ProbeInput, 'pids' | 'secrets'>>,
    onLooking?: () => void,
  ): Promise<ProbeAnswer<Name>>;
  /** Looks for secrets wherever a sandbox could have left them. @returns where they were found */
  search(secrets: readonly Secret[]): Promise<string[]>;
}

/** The sandbox server is a process of this machine. @param root its folder */
export function thisMachine(root: string): SandboxMachine {
  const ask: SandboxMachine['ask'] = async (name, id, { pids = [], secrets = [] } = {}, onLooking = () => {}) => {
    const { look, answer } = probes[name];
    onLooking();
    // The type of a probe's answer is that of its schema, which TypeScript does not follow through the index.
    return answer.parse(await look({ root, id, pids, secrets, changedSince: 0 })) as ProbeAnswer<typeof name>;
  };
  return { root, ask, search: (secrets) => ask('inSandboxes', '', { secrets: [...secrets] }) };
}
