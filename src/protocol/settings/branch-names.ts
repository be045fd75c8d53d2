/** Names for a session's branch where the wanted one cannot be had. Pure; known to both sides of the gateway. */

const MOST = 9;

/**
 * The wanted name and what may stand in for it, in the order in which they are tried: with a number behind it, and without
 * slashes, where a branch of the host has the name of the folder.
 */
export function branchAlternatives(wanted: string): string[] {
  const flat = wanted.replaceAll('/', '-');
  const numbered = (name: string) => Array.from({ length: MOST - 1 }, (_, index) => `${name}-${index + 2}`);
  return [...new Set([wanted, ...numbered(wanted), flat, ...numbered(flat)])];
}

/**
 * Why git would not make a branch beside those of the host: it keeps a branch as a file, and a folder of the same name
 * cannot be beside it.
 * @returns the branch that is in the way; null: there is none
 */
export function inTheWay(name: string, branches: readonly string[]): string | null {
  return (
    branches.find((other) => other === name || name.startsWith(`${other}/`) || other.startsWith(`${name}/`)) ?? null
  );
}
