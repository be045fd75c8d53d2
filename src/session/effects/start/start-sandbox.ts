/** Starts a session's sandbox with what was planned for it (plan.ts). */
import { mcpAccess } from '../../../claude/mcp-access.ts';
import { systemPrompt } from '../../../claude/prompts.ts';
import { onlyLooks } from '../../../claude/roles.ts';
import { RIGHTS } from '../../../gateway/openings.ts';
import { decoyOf } from '../../../gateway/secrets/decoy.ts';
import { mintToken } from '../../../gateway/token.ts';
import type { LinearClient } from '../../../linear/api/client.ts';
import type { StartSession } from '../../../protocol/sandbox/start.ts';
import { defaultEgress } from '../../../protocol/settings/egress.ts';
import type { SlotAnswer } from '../../../protocol/settings/start-limits.ts';
import { toClaude } from '../../../protocol/text/clean-text.ts';
import { sandboxFor } from '../../../sandbox/choose.ts';
import { identityOf } from '../../../store/repository-cache.ts';
import { listMcpServers } from '../../../store/workspaces/mcp-servers.ts';
import type { EffectResults } from '../../lifecycle/model/effect-results.ts';
import { SetupError, type Surroundings } from '../effect-context.ts';
import { takeSlot } from '../queue-slots.ts';
import { chooseBranch } from './branch-choice.ts';
import { claudeReadiness } from './claude-readiness.ts';
import { commitAuthor } from './commit-author.ts';
import { commitConventions, commitWords } from './commit-conventions.ts';
import { type Plan, placed, planFor } from './plan.ts';
import { warmUp } from './prewarm.ts';
import { pullRequestNow } from './pull-request-now.ts';

const SETUP_TIMEOUT_SECONDS = 600;

/**
 * Brings up the sandbox of a generation, or finds it running.
 * @returns the sandbox; or that a person has to say which repository it is; or that the one who asked may not; or where the
 * session waits in the queue; or why Claude cannot be reached at all
 * @throws SetupError, SandboxError, LinearError, DatabaseError
 */
export async function startSandbox(
  generation: number,
  surroundings: Surroundings,
  linear: LinearClient,
): Promise<EffectResults['start-sandbox']> {
  const { state, config } = surroundings;
  const early: { slot: Promise<SlotAnswer> | null } = { slot: null };
  const plan = await planFor(surroundings, linear, (...known) => {
    early.slot = warmUp(generation, surroundings, ...known);
  }).then((found) => placed(found, config));
  if ('kind' in plan) return plan;
  const { repository, baseBranch, baseWish, baseWishBy, arrangement, access } = plan;
  const slot = await (early.slot ?? takeSlot(surroundings));
  if (slot.position > 0) return { kind: 'queued', ...slot };
  const { fullName, cloneUrl } = repository;
  // Sandbox servers keep what they know of a repository by it.
  const identity = await identityOf(state.workspaceId, cloneUrl);
  const { cloneOf } = state;
  if (cloneOf?.repository === fullName && cloneOf.identity !== identity) throw elsewhere(fullName);
  const [{ branch, told }, author, pullRequest, ready, servers] = await Promise.all([
    chooseBranch(plan, surroundings),
    commitAuthor(surroundings, fullName),
    pullRequestNow(surroundings),
    claudeReadiness(surroundings, arrangement.assignment.model),
    listMcpServers(surroundings.database, { workspaceId: state.workspaceId, fullName }),
  ]);
  if ('problem' in ready) return { kind: 'blocked', text: ready.problem };
  const token = await mintToken(config, {
    s: state.id,
    w: state.workspaceId,
    r: fullName,
    b: branch,
    g: generation,
    i: identity,
    m: [ready.claude.model, ...(ready.claude.fallbackModel ? [ready.claude.fallbackModel] : [])],
    ...(onlyLooks(arrangement.assignment) && { ro: true }),
    o: arrangement.assignment.role,
    d: onlyLooks(arrangement.assignment) ? [] : [...RIGHTS],
    p: arrangement.placement?.kind === 'container' ? 'container' : 'network',
    ...(state.issue?.identifier && { k: state.issue.identifier.slice(0, 40) }),
  });
  const decoy = await decoyOf(config, state.id);
  const begun = { ...state, repository: fullName, branch, arrangement };
  const sandbox = sandboxFor({ ...surroundings, state: begun }, state.id, generation);
  const { role, tools, permissions, instructions, effort } = arrangement.assignment;
  const mcpServers = mcpAccess(servers, role, repository.settings);
  const about = {
    branch,
    baseBranch,
    repository: fullName,
    issueIdentifier: state.issue?.identifier || null,
    network: arrangement.placement?.kind === 'container' ? (arrangement.egress ?? defaultEgress) : null,
    conventions: commitWords(repository.settings, state, role),
  };
  const status = await sandbox.start(state.id, {
    generation,
    ...takingUp(generation, surroundings),
    waitsForHelpers: true,
    gateway: sandbox.gateway(state.origin, token),
    repository: {
      fullName,
      identity,
      baseBranch,
      branch,
      ...pushedBefore(surroundings),
      ...(pullRequest && { pullRequest }),
      ...(onlyLooks(arrangement.assignment) && { readOnly: true }),
    },
    claude: {
      credential: config.claude.access.mode,
      ...ready.claude,
      ...(effort !== undefined && { effort }),
      role,
      tools,
      ...(permissions && { permissions }),
      ...(mcpServers.length > 0 && { mcpServers }),
      conversationId: state.conversationId,
      systemPrompt: toClaude(
        [systemPrompt(about), told ?? '', instructions].filter((text) => text !== '').join('\n\n'),
      ),
    },
    commits: commitConventions(state, repository.settings, { author, role, access }),
    decoy: { name: decoy.name, value: decoy.value },
    author,
    ...setupOf(plan),
  });
  const { windows, fellBack } = ready;
  return {
    kind: 'started',
    repository: fullName,
    identity,
    branch,
    ...(told !== null && { branchNote: told }),
    ...(plan.choice !== undefined && { choice: plan.choice }),
    baseBranch,
    baseWish,
    ...(baseWishBy && { baseWishBy }),
    author,
    ...(pullRequest && { pullRequest }),
    arrangement,
    access,
    status,
    windows,
    fellBack,
  };
}

/** What is known of the branch on the host; nothing of a session that began before that was noted. */
function pushedBefore({ state, pushedTip }: Surroundings): { pushed?: string | null } {
  const pushed = pushedTip();
  return pushed === null && !state.notesPushes ? {} : { pushed };
}

/** The workspace's script comes before the repository's. */
function setupOf({ workspaceScript, repository }: Plan): Pick<StartSession, 'setupScripts' | 'setupTimeoutSeconds'> {
  const { setupScript, setupTimeoutSeconds = SETUP_TIMEOUT_SECONDS } = repository.settings;
  const setupScripts = [
    ...(workspaceScript === undefined ? [] : [{ of: 'workspace' as const, script: workspaceScript }]),
    ...(setupScript === undefined ? [] : [{ of: 'repository' as const, script: setupScript }]),
  ];
  return { ...(setupScripts.length > 0 && { setupScripts }), setupTimeoutSeconds };
}

/** What a start says of what was before: which numbering is expected, or which work another life is to take up. */
function takingUp(
  generation: number,
  { state, checkpoint }: Surroundings,
): Pick<StartSession, 'knows' | 'restore' | 'saveTurn'> {
  const { sandbox, phase } = state;
  if (sandbox.generation === generation && sandbox.streamId !== null) return { knows: sandbox.streamId };
  const restore = checkpoint();
  // Of another conversation or repository, or of this very life: then it is of no use.
  if (!state.checkpoint || !restore || restore.generation >= generation) return {};
  if (restore.conversationId !== state.conversationId) return {};
  return { restore, ...(phase.name === 'saving' && { saveTurn: phase.turn.number }) };
}

/** Another repository may stand behind the same name: its history is not what this conversation and branch are about. */
function elsewhere(fullName: string): SetupError {
  return new SetupError(
    `the clone address of ${fullName} changed since this session began, so its branch and conversation may belong to another repository`,
    'For the repository as configured now, use another issue; to continue here, ask a Cyrus admin to restore the address, then comment.',
  );
}
