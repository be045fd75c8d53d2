/** What a deployment lets sandboxes ask of Claude's API beyond what the pinned CLI asks. Pure. */

/** Entries of `CLAUDE_API_ALLOW`: `beta:…`, `key:…`, `tool:…` and `model:…`. */
export interface ClaudeAllowance {
  betas: readonly string[];
  keys: readonly string[];
  tools: readonly string[];
  models: readonly string[];
}

/**
 * Reads `CLAUDE_API_ALLOW`.
 * @param text entries separated by commas or blanks; empty: nothing is added
 * @returns null if an entry is not one of the four kinds
 */
export function readAllowance(text: string): ClaudeAllowance | null {
  const allowance = { beta: [] as string[], key: [] as string[], tool: [] as string[], model: [] as string[] };
  for (const entry of text.split(/[\s,]+/).filter((part) => part !== '')) {
    const [, kind, name] = /^(beta|key|tool|model):([\w.[\]-]+)$/.exec(entry) ?? [];
    if (name === undefined || !isKind(kind)) return null;
    allowance[kind].push(name);
  }
  return { betas: allowance.beta, keys: allowance.key, tools: allowance.tool, models: allowance.model };
}

function isKind(kind: string | undefined): kind is 'beta' | 'key' | 'tool' | 'model' {
  return kind !== undefined && ['beta', 'key', 'tool', 'model'].includes(kind);
}
