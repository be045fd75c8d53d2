import { useEffect, useRef, useState } from 'react';
import { SessionStore } from '../live/session-store.ts';
import { pageTitle, statusOf } from '../text/status.ts';
import { Announcer } from '../view/announcer.tsx';
import { AccountBanner, ReadOnlyBanner, ReinstallBanner, ScriptedBanner } from '../view/banners.tsx';
import { Boundary } from '../view/boundary.tsx';
import { ChangesPanel } from '../view/changes/changes-link.tsx';
import { AskedPanel } from '../view/composer/asked-panel.tsx';
import { Composer } from '../view/composer/composer.tsx';
import { ActivityPill } from '../view/header/activity-pill.tsx';
import { Facts } from '../view/header/facts.tsx';
import { SessionHeader } from '../view/header/session-header.tsx';
import { Spinner } from '../view/icons.tsx';
import { SessionContext, useSession, useStore } from '../view/session-context.ts';
import { useFollow } from '../view/timeline/follow.ts';
import { TimelineView } from '../view/timeline/timeline-view.tsx';
import { MessagePage } from './message-page.tsx';
import { useReinstall } from './use-reinstall.ts';

/** `/sessions/:id`: one session, live. @param isShared it is looked at by a share link */
export function SessionPage({ id, isShared = false }: { id: string; isShared?: boolean }) {
  const [store, setStore] = useState<SessionStore | null>(null);
  useEffect(() => {
    const opened = new SessionStore(id, isShared);
    setStore(opened);
    return () => opened.close();
  }, [id, isShared]);
  if (store === null) return null;
  return (
    <SessionContext value={store}>
      <LoadedSession />
    </SessionContext>
  );
}

function LoadedSession() {
  const { isShared } = useStore();
  const load = useSession((state) => state.load);
  switch (load.at) {
    case 'shown':
      return <LiveSession />;
    case 'missing':
      return (
        <MessagePage title="No such session">
          {isShared
            ? 'This link shows nothing: it has ended, or it is incomplete. Ask the person who gave it to you for another one.'
            : 'There is no session at this address. It may belong to another deployment of Cyrus.'}
        </MessagePage>
      );
    case 'failing':
      return (
        <MessagePage title="The session cannot be shown yet">
          {load.problem} <span className="soft">The page keeps trying.</span>
        </MessagePage>
      );
    case 'loading':
      return (
        <main className="message-page" aria-busy="true">
          <p className="soft appear-late">
            <Spinner /> Loading the session
          </p>
        </main>
      );
  }
}

function LiveSession() {
  const session = useSession((state) => state.session);
  const empty = useSession((state) => state.timeline.lastSeq === 0);
  const reinstall = useReinstall();
  const store = useStore();
  const isPast = useSession((state) => state.isPast);
  const mayWork = useSession((state) => state.mayWork);
  const box = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const follow = useFollow(box, content);
  const atEnd = follow.atEnd && !isPast;
  const toEnd = () => {
    store.goToNewest();
    follow.toEnd();
  };

  const title = session === null ? 'Cyrus' : titleOf(session);
  useEffect(() => {
    document.title = title;
  }, [title]);

  if (session === null) return null;
  return (
    <div className="session">
      <SessionHeader session={session} />
      <Announcer session={session} />
      {!store.isShared && <ChangesPanel />}
      <div className="columns">
        <div className="main-column">
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
          <main className="timeline" ref={box} tabIndex={0} aria-label="What happened">
            <div className="timeline-width">
              {session.scriptedModel && <ScriptedBanner />}
              {session.alert !== undefined && <AccountBanner alert={session.alert} />}
              {session.readOnly !== undefined && <ReadOnlyBanner words={session.readOnly} />}
              {empty && (
                <p className="soft empty">Nothing has happened yet. Claude's work appears here as it happens.</p>
              )}
              <TimelineView box={box} content={content} follow={follow} />
            </div>
          </main>
          <footer className="dock">
            <ActivityPill atEnd={atEnd} toEnd={toEnd} />
            <ReinstallBanner workspaces={reinstall.filter((name) => name === session.workspaceName)} />
            {session.asked !== null && <AskedPanel key={session.asked.id} asked={session.asked} mayAnswer={mayWork} />}
            {session.readOnly === undefined && mayWork && <Composer onSent={toEnd} />}
            {!mayWork && (
              <p className="soft">
                {store.isShared
                  ? 'Somebody shared this session with you. You can read it, and nothing else.'
                  : 'You may look on in this workspace, and neither write to Claude nor stop it.'}
              </p>
            )}
          </footer>
        </div>
        <Boundary fallback={() => <p className="facts soft">What is known of the session could not be drawn.</p>}>
          <Facts session={session} />
        </Boundary>
      </div>
    </div>
  );
}

function titleOf(session: NonNullable<ReturnType<SessionStore['getState']>['session']>): string {
  const { issue } = session;
  return pageTitle(statusOf(session), issue === null ? 'Cyrus' : `${issue.identifier} ${issue.title}`);
}
