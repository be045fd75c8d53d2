/** One-line notices at the top of a page. */

/** Trouble with the Claude account: no turn goes well until somebody sees to it. */
export function AccountBanner({ alert }: { alert: string }) {
  return (
    <div className="banner" role="alert">
      <strong>Claude cannot be used.</strong> {alert}
    </div>
  );
}

/** Nothing can be asked of this session for now. */
export function ReadOnlyBanner({ words }: { words: string }) {
  return (
    <div className="banner" role="alert">
      <strong>Read-only.</strong> {words}
    </div>
  );
}

/** Says which workspaces Cyrus is shut out of, and the way back in. Nothing where it is shut out of none. */
export function ReinstallBanner({ workspaces }: { workspaces: readonly string[] }) {
  if (workspaces.length === 0) return null;
  return (
    <div className="banner" role="alert">
      <strong>Cyrus has lost access to Linear: {workspaces.join(', ')}.</strong> Cyrus can neither read nor answer
      there. An admin of the workspace has to <a href="/install">install Cyrus again</a>; sessions and settings are
      kept.
    </div>
  );
}

/** Says plainly that nobody asked Claude. */
export function ScriptedBanner() {
  return (
    <div className="banner" role="note">
      <strong>A scripted model answers; this is not Claude.</strong> Set <code>CLAUDE_CODE_OAUTH_TOKEN</code> in{' '}
      <code>.dev.vars</code> and start again to use the real Claude.
    </div>
  );
}
