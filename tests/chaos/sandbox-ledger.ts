/** What the commands of a task have done outside of their sandbox, as often as they did it: nothing there is taken back. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EgressPage, egressPageSchema } from '../../src/protocol/egress-log.ts';
import type { CyrusSession } from '../e2e/cyrus-session.ts';

export interface Ledger {
  /** Where a command notes what it does: an argument of the script `chaos`. */
  address: string;
  /** A line for each thing done, in order. */
  read(session: CyrusSession): Promise<string[]>;
}

/** A file of this machine. @param folder of all ledgers */
export function fileLedger(folder: string, number: number): Ledger {
  mkdirSync(folder, { recursive: true });
  const address = join(folder, String(number));
  return { address, read: async () => readFileSync(address, 'utf8').split('\n').filter(Boolean) };
}

/** A container shares no file: its commands ask a host that it may not reach, and Cyrus's own egress log has it. */
export function egressLedger(): Ledger {
  const host = 'ledger.example';
  return {
    address: `http://${host}`,
    read: async (session) => {
      const response = await fetch(session.pageUrl.replace('/sessions/', '/api/sessions/').concat('/egress'));
      const { lines, total }: EgressPage = egressPageSchema.parse(await response.json());
      if (lines.length < total) throw new Error(`${total} lines of egress are more than a page shows`);
      const ours = lines.filter((line) => line.host === host);
      return ours.map(({ path }) => path.slice(1)).reverse();
    },
  };
}
