/** Preparing a life: the workspace, the repository's setup script, and what Claude is told. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/lib/error.ts';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { branchAlternatives, inTheWay } from '../../src/protocol/settings/branch-names.ts';
import { fetchCheckpoint, RestoreError, restoreFiles, restoreWorktree } from '../checkpoints/restore.ts';
import { hasConversation } from '../claude/claude-command.ts';
import { ClaudeStartError } from '../claude/claude-process.ts';
import { elapsedMs, steadyNow } from '../clock.ts';
import { isDiskFull } from '../files/disk-space.ts';
import { mkdir } from '../files/inside.ts';
import { makeShareFolder } from '../files/outgoing-files.ts';
import { CheckpointStoreError } from '../gateway/checkpoint-client.ts';
import { neverCommitted, patternsOfSetup } from '../git/excludes.ts';
import { git } from '../git/git.ts';
import { hostBranches } from '../git/host-branch.ts';
import { untilHostAnswers } from '../git/host-patience.ts';
import { againIfKilled } from '../git/killed-git.ts';
import { removeLocksOf } from '../git/mirror.ts';
import { PreparationError } from '../git/preparation-error.ts';
import { pushRefusal, tellPushRefusal } from '../git/push-access.ts';
import { readRepositoryPrompts } from '../git/repository-prompts.ts';
import { fetchSubmodules } from '../git/submodules.ts';
import { prepareWorkspace, pushedCommit, wholeHistory } from '../git/workspace.ts';
import { inWorktree } from '../git/workspace-plan.ts';
import { makeHooks } from '../hooks/hooks.ts';
import { fetchLargeFiles } from '../lfs/lfs.ts';
import { decoyVariable } from '../process/environment.ts';
import { readBaseline, secretsOf, takeBaseline, writeBaseline, writtenSince } from '../save/baseline.ts';
import { whatIsThere } from '../setup/made-directories.ts';
import { keepSetup, restoreSetup } from '../setup/setup-cache.ts';
import { setupCacheOf } from '../setup/setup-cache-key.ts';
import { hasSetupScript, runSetupScript, SETUP_SCRIPT, type SetupOutcome } from '../setup/setup-script.ts';
import type { IncarnationContext } from './context.ts';
import { writeInstructions } from './instructions.ts';

/**
 * Does whatever is missing, reports each step, and at the end `ready`. Where a git was killed from outside it begins again.
 * @throws PreparationError as text for users
 */
export async function prepare(context: IncarnationContext): Promise<void> {
  const { plan, signal } = context;
  await againIfKilled(
    signal,
    () => prepareOnce(context),
    () => removeLocksOf(plan),
  );
}

async function prepareOnce(context: IncarnationContext): Promise<void> {
  const { paths, record, start } = context;
  for (const dir of [paths.home, paths.claudeConfig, paths.tmp]) await mkdir(dir, { recursive: true, mode: 0o700 });
  await Promise.all([makeShareFolder(paths.share), makeHooks(paths.hooks, start.commits)]);
  const asked = pushRefusal(context);
  await chooseBranch(context);
  const prepared = await prepareWorkspace(
    context.plan,
    (step, status, detail, durationMs) => context.emit({ type: 'step', step, status, detail, durationMs }),
    restoring(context),
  );
  // If it cannot be read either, the preparation says that.
  tellPushRefusal(context, asked);
  await fetchBeside(context);
  if (prepared.created) record.setup = null;
  if (!record.setup) await setUpMeasured(context, prepared.created);
  if (!context.isOver) await writeExcludes(context);
  const own = await readRepositoryPrompts(context.plan, start.claude.role ?? null);
  const systemPrompt = own === null ? start.claude.systemPrompt : `${start.claude.systemPrompt}\n\n${own}`;
  await writeInstructions(paths, systemPrompt, setupNote(context));
  const resumed = await hasConversation(paths, start.claude.conversationId);
  // Cut off by the end of this life, at any step: the next one prepares it again.
  if (context.isOver) return;
  record.baseCommit = prepared.commit;
  record.savedHead ??= start.restore ? await pushedCommit(context.plan, prepared.commit) : prepared.commit;
  await context.remember();
  const { branch } = context;
  context.emit({ type: 'ready', branch, baseCommit: prepared.commit, worktree: paths.worktree, resumed });
}

/** Content of files in Git LFS and submodules, before a setup script or Claude reads them. */
async function fetchBeside(context: IncarnationContext): Promise<void> {
  const { record } = context;
  const told = [...(await fetchLargeFiles(context.plan)), ...(await fetchSubmodules(context.plan))];
  for (const text of told) context.emit({ type: 'notice', text });
  if (told.length > 0) record.notes = [...new Set([...(record.notes ?? []), ...told])];
}

/** Takes up the checkpoint that the start names, unless this life has done so already. */
function restoring(context: IncarnationContext): (() => Promise<void>) | null {
  const { record, start, paths } = context;
  const { restore } = start;
  if (!restore || record.baseCommit !== null) return null;
  // On its way while the repository is fetched.
  const fetched = fetchCheckpoint(context, restore);
  fetched.catch(() => {});
  return async () => {
    const since = steadyNow();
    context.emit({ type: 'step', step: 'restore', status: 'started', detail: 'Restoring the work' });
    const checkpoint = await fetched;
    await restoreWorktree(context.plan, checkpoint, paths.bundle);
    await restoreFiles(context, checkpoint.files);
    const detail = `Restored the work as of ${new Date(restore.at).toISOString().slice(0, 19)}Z`;
    context.emit({ type: 'step', step: 'restore', status: 'done', detail, durationMs: elapsedMs(since) });
  };
}

/**
 * A branch of the wanted name that this session did not make is left to the person who made it, and so is one that git would not
 * let stand beside it: another name is taken, which the `ready` event tells.
 */
async function chooseBranch(context: IncarnationContext): Promise<void> {
  const { record, start } = context;
  const { pushed, branch: wanted } = start.repository;
  // Its own already, or of a Worker that does not know whose it is.
  if (pushed !== null || record.baseCommit !== null || start.restore || record.branch?.tip) return;
  const taken = await untilHostAnswers(context.plan, () => hostBranches(context.plan));
  if (taken === null) return;
  const inWay = inTheWay(wanted, taken);
  record.branchName =
    inWay === null ? undefined : branchAlternatives(wanted).find((name) => inTheWay(name, taken) === null);
  if (inWay === null || record.branchName === undefined) return;
  const why =
    inWay === wanted
      ? `there is a branch ${wanted} that this session did not create`
      : `a branch ${inWay} is in its way`;
  context.emit({ type: 'notice', text: `The branch is ${record.branchName}, because on the git host ${why}.` });
  record.notes = [...(record.notes ?? []), `The session’s branch is ${record.branchName}, not ${wanted}: ${why}.`];
}

/** What the setup makes or changes is not Claude's work: it is remembered, and secrets in it are kept from commits. */
async function setUpMeasured(context: IncarnationContext, isNew: boolean): Promise<void> {
  const { paths, plan } = context;
  // A worktree that was restored, or was there already, may hold work.
  const holdsWork = !isNew || context.start.restore !== undefined;
  const before = holdsWork ? await takeBaseline(plan) : null;
  const since = Date.now();
  await setUp(context);
  if (context.isOver) return;
  const baseline = before
    ? new Map([...(isNew ? [] : await readBaseline(paths.baseline)), ...(await writtenSince(plan, before, since))])
    : await takeBaseline(plan);
  await writeBaseline(paths.baseline, baseline);
}

/** Also where the worktree is ready already: its setup does not run again, and what it made must be kept out of commits all the same. */
async function writeExcludes({ plan, paths }: IncarnationContext): Promise<void> {
  const secrets = secretsOf(await readBaseline(paths.baseline)).map((line) => `${line}\n`);
  const text = [neverCommitted, await patternsOfSetup(plan, paths), ...secrets].join('');
  await writeFile(paths.excludes, text, { mode: 0o640 });
}

/** The scripts that an admin set, then what the repository brings: run, or got from the cache. */
async function setUp(context: IncarnationContext): Promise<void> {
  const { paths, record, start } = context;
  const given = start.setupScripts ?? [];
  const hasOwn = await hasSetupScript(paths);
  if (given.length === 0 && !hasOwn) return;
  await rm(paths.setupLog, { force: true });
  const outcomes: SetupOutcome[] = [];
  for (const { of, script } of given) {
    const path = join(paths.dir, `setup-${of}.sh`);
    await writeFile(path, `${script}\n`, { mode: 0o640 });
    const outcome = await runStep(context, { name: `the ${of}’s setup script`, path });
    if (outcome) outcomes.push(outcome);
  }
  if (hasOwn) {
    const outcome = await setUpOwn(context, given);
    if (outcome) outcomes.push(outcome);
  }
  // Cut off by the end of this life: the next one runs it again.
  if (context.isOver) return;
  const failed = outcomes.filter(({ ok }) => !ok);
  const told = (failed.length > 0 ? failed : outcomes).map(({ summary }) => summary);
  record.setup = { ok: failed.length === 0, summary: told.join('; ') };
  await context.remember();
}

async function setUpOwn(
  context: IncarnationContext,
  given: NonNullable<IncarnationContext['start']['setupScripts']>,
): Promise<SetupOutcome | null> {
  const before = given.map(({ script }) => script);
  const cache = await setupCacheOf(context, SETUP_SCRIPT, before);
  const since = steadyNow();
  const restored = cache && (await restoreSetup(context, cache));
  if (restored !== null) {
    const summary = `${SETUP_SCRIPT}: ${restored}`;
    context.emit({ type: 'step', step: 'setup', status: 'started', detail: `Restoring the result of ${SETUP_SCRIPT}` });
    context.emit({ type: 'step', step: 'setup', status: 'done', detail: summary, durationMs: elapsedMs(since) });
    return { ok: true, summary };
  }
  const there = cache ? await whatIsThere(context, []) : new Map<string, number>();
  const outcome = await runStep(context, { name: SETUP_SCRIPT, path: SETUP_SCRIPT });
  // Before Claude is started: by then nobody else has touched it.
  if (cache && outcome?.ok) await keepSetup(context, cache, there);
  return outcome;
}

async function runStep(
  context: IncarnationContext,
  script: { name: string; path: string },
): Promise<SetupOutcome | null> {
  if (context.isOver) return null;
  const { paths, start } = context;
  const since = steadyNow();
  context.emit({ type: 'step', step: 'setup', status: 'started', detail: `Running ${script.name}` });
  const history = await historyVariable(context);
  const outcome = await runSetupScript(
    paths,
    script,
    { ...decoyVariable(start), ...history },
    start.setupTimeoutSeconds,
    (text) => context.emit({ type: 'setup-output', text: context.withoutToken(text) }),
    context.signal,
    context.access,
  );
  if (context.isOver) return null;
  const durationMs = elapsedMs(since);
  const failed = outcome.ok ? {} : { failed: true as const };
  context.emit({ type: 'step', step: 'setup', status: 'done', detail: outcome.summary, durationMs, ...failed });
  return outcome;
}

/**
 * Setup scripts see the whole history with its tags, as in any clone. Where the git host does not give it now, they are told
 * how many commits there are.
 */
async function historyVariable(context: IncarnationContext): Promise<Record<string, string>> {
  const { plan } = context;
  if (await wholeHistory(plan)) return {};
  const count = (await git(['rev-list', '--count', 'HEAD'], inWorktree(plan))).trim();
  const text = `The git host did not deliver older history: this repository has its newest ${count} commits (CYRUS_HISTORY_DEPTH).\n`;
  context.emit({ type: 'setup-output', text });
  return { CYRUS_HISTORY_DEPTH: count };
}

function setupNote({ record, paths }: IncarnationContext): string | null {
  if (!record.setup || record.setup.ok) return null;
  return `Note: ${record.setup.summary}. Its output is in ${paths.setupLog}.`;
}

/** Whatever was done when it happened, that is what people have to see to. */
function diskFull(error: unknown): SandboxEventBody {
  const step = error instanceof PreparationError ? error.step : 'worktree';
  const hint = 'Free space on the machine of the sandbox server, or give it a larger disk; then comment to try again.';
  return { type: 'failed', step, message: `The disk of the sandbox server is full: ${messageOf(error)}`, hint };
}

/** What is reported of an error that ended the preparations. */
export function failureEvent(error: unknown, context: IncarnationContext): SandboxEventBody {
  if (isDiskFull(error)) return diskFull(error);
  if (error instanceof PreparationError) {
    return { type: 'failed', step: error.step, message: error.message, hint: error.hint };
  }
  if (error instanceof RestoreError || error instanceof CheckpointStoreError) {
    const message = `The work could not be restored: ${error.message}`;
    return { type: 'failed', step: 'restore', message, hint: 'Work pushed before is on the branch.' };
  }
  if (error instanceof ClaudeStartError) {
    const hint = `Install @anthropic-ai/claude-code in the sandbox, or set CLAUDE_BIN (now ${context.config.claudeBin}).`;
    return { type: 'failed', step: 'claude', message: error.message, hint };
  }
  context.broken('preparations', error);
  const message = `The workspace could not be prepared: ${messageOf(error)}`;
  return { type: 'failed', step: 'worktree', message, hint: 'See the sandbox’s log; it may be out of disk space.' };
}
