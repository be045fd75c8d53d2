import { type ReactNode, useState } from 'react';
import type { SessionView } from '../../../protocol/viewer.ts';
import { sessionPath } from '../../api.ts';
import { bytes, compact, dollars, plural } from '../../text/format.ts';
import { windowTitle, windowUse } from '../../text/limits.ts';
import { statusOf } from '../../text/status.ts';
import { ChangesLink } from '../changes/changes-link.tsx';
import { Fold } from '../fold.tsx';
import { Icon } from '../icons.tsx';
import { CommitList, FileList, fileCounts } from '../items/saved-item.tsx';
import { Counts } from '../items/tool-row.tsx';
import { useSession, useStore } from '../session-context.ts';
import { Network } from './network.tsx';
import { PlanFacts, planProgress } from './plan-facts.tsx';
import { PullFacts } from './pull-facts.tsx';
import { ShareFold } from './share-fold.tsx';
import { Elapsed } from './status-pill.tsx';

/** All that is known of the session beside its timeline: a column where there is room, a fold where there is not. */
export function Facts({ session }: { session: SessionView }) {
  const [open, setOpen] = useState(false);
  const { isShared } = useStore();
  const mayWork = useSession((state) => state.mayWork);
  return (
    <aside className={open ? 'facts facts-open' : 'facts'} aria-label="About this session">
      <button type="button" className="facts-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="facts-brief">
          {[planProgress(session.plan), session.repository, session.model, `${compact(tokensOf(session))} tokens`]
            .filter(Boolean)
            .join(' · ')}
        </span>
        <Icon name="chevron" />
      </button>
      <div className="facts-body">
        <StatusFacts session={session} />
        <PlanFacts plan={session.plan} />
        {!isShared && <PullFacts session={session} />}
        <Changes session={session} />
        <dl>
          <Fact name="Repository">{session.repository ?? 'none'}</Fact>
          {session.branch !== null && (
            <Fact name="Branch">
              <code className="breakable">{session.branch}</code>
            </Fact>
          )}
          {session.model !== null && <Fact name="Model">{session.scriptedModel ? 'scripted' : session.model}</Fact>}
          <Fact name="Turns">{session.turn}</Fact>
        </dl>
        <Usage session={session} />
        <Limits session={session} />
        {!isShared && <Log session={session} />}
        {!isShared && <Network session={session} />}
        {mayWork && <ShareFold id={session.id} />}
      </div>
    </aside>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function StatusFacts({ session }: { session: SessionView }) {
  const { word, detail, tone, ticking } = statusOf(session);
  return (
    <section className={`facts-status tone-${tone}`} aria-label="Status">
      <p>
        <strong>{word}</strong>
        {ticking && (
          <>
            {' — '}
            <Elapsed session={session} />
          </>
        )}
      </p>
      {detail !== '' && <p className="soft">{detail}</p>}
      {session.failedEffects > 0 && (
        <p className="level-warning facts-warning">
          <Icon name="warning" />
          {plural(session.failedEffects, 'update')} could not be delivered and{' '}
          {session.failedEffects === 1 ? 'was' : 'were'} given up. The timeline says which, and why.
        </p>
      )}
    </section>
  );
}

/** The branch as it was last saved. */
function Changes({ session }: { session: SessionView }) {
  const saved = useSession((state) => state.saved);
  if (saved === null) return null;
  const { files, commits, patchBytes, pushed } = saved;
  return (
    <section aria-labelledby="changes">
      <h2 id="changes">Changes {files.length > 0 && <Counts {...fileCounts(files)} />}</h2>
      {files.length === 0 ? <p className="soft">The branch changes nothing.</p> : <FileList files={files} />}
      {commits.length > 0 && (
        <Fold
          className="facts-fold"
          line={
            <>
              {plural(commits.length, 'commit')}
              {!pushed && <span className="tag tag-bad">not pushed</span>}
            </>
          }
        >
          {() => <CommitList commits={commits} />}
        </Fold>
      )}
      {patchBytes !== null && files.length > 0 && <ChangesLink />}
      {patchBytes !== null && (
        <a className="download" href={`${sessionPath(session.id)}/patch`} download>
          <Icon name="download" />
          Patch <span className="faint">{bytes(patchBytes)}</span>
        </a>
      )}
    </section>
  );
}

function Usage({ session }: { session: SessionView }) {
  if (tokensOf(session) === 0) return null;
  const { usage, costUsd } = session;
  return (
    <section aria-labelledby="usage">
      <h2 id="usage">Tokens</h2>
      <dl>
        <Fact name="In">{compact(usage.inputTokens)}</Fact>
        <Fact name="Out">{compact(usage.outputTokens)}</Fact>
        <Fact name="From cache">{compact(usage.cacheReadTokens)}</Fact>
        <Fact name="Into cache">{compact(usage.cacheCreationTokens)}</Fact>
        {costUsd !== null && <Fact name="Cost, at list prices">{dollars(costUsd)}</Fact>}
      </dl>
    </section>
  );
}

/** How much of the plan's windows is used. */
function Limits({ session: { windows, updatedAt } }: { session: SessionView }) {
  if (windows === undefined) return null;
  return (
    <section aria-labelledby="limits">
      <h2 id="limits">Claude's limits</h2>
      <dl>
        {windows.map((window) => (
          <Fact key={window.name} name={windowTitle(window.name)}>
            {windowUse(window, Math.max(updatedAt, Date.now()))}
          </Fact>
        ))}
      </dl>
    </section>
  );
}

/** The log exists once a turn has ended. */
function Log({ session }: { session: SessionView }) {
  if (session.lastOutcome === null) return null;
  return (
    <a className="download" href={`${sessionPath(session.id)}/log`} download>
      <Icon name="download" />
      Log <span className="faint">Markdown</span>
    </a>
  );
}

function tokensOf({ usage }: SessionView): number {
  return usage.inputTokens + usage.outputTokens + usage.cacheReadTokens + usage.cacheCreationTokens;
}
