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
