/**
 * A turn goes on after a result of Claude's while its helpers work. What was answered and spent until then is kept with the turn. Pure.
 */
import type { ResultBody } from '../model/phases.ts';
import { addUsage } from '../model/state.ts';

const MAX_LIST = 200;

/**
 * A result of a turn, with what the ones before it answered and spent.
 * @param before left out where no result came before
 */
export function summed(before: ResultBody | undefined, result: ResultBody): ResultBody {
  if (!before) return result;
  return {
    ...result,
    promptIds: [...new Set([...before.promptIds, ...result.promptIds])].slice(-MAX_LIST),
    durationMs: before.durationMs + result.durationMs,
    usage: before.usage && result.usage ? addUsage(before.usage, result.usage) : (before.usage ?? result.usage),
    costUsd: added(before.costUsd, result.costUsd),
    numTurns: added(before.numTurns, result.numTurns),
    deniedTools: [...before.deniedTools, ...result.deniedTools].slice(-MAX_LIST),
  };
}

function added(a: number | null, b: number | null): number | null {
  return a === null && b === null ? null : (a ?? 0) + (b ?? 0);
}
