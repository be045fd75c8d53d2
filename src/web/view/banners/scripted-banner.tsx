/** Says plainly that nobody asked Claude. */
export function ScriptedBanner() {
  return (
    <div className="banner" role="note">
      <strong>A scripted model answers; this is not Claude.</strong> Set <code>CLAUDE_CODE_OAUTH_TOKEN</code> in{' '}
      <code>.dev.vars</code> and start again to use the real Claude.
    </div>
  );
}
