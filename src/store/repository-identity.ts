/** What a repository is, whatever it is called: its name may be given another clone address. */
import { sha256 } from '../lib/hex.ts';

/** Digest of the workspace and the clone address. Sandbox servers keep what they know of a repository by it. */
export function identityOf(workspaceId: string, cloneUrl: string): Promise<string> {
  return sha256(`${workspaceId}\n${cloneUrl}`);
}
