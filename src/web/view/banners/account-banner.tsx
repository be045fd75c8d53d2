/** Trouble with the Claude account: no turn goes well until somebody sees to it. */
export function AccountBanner({ alert }: { alert: string }) {
  return (
    <div className="banner" role="alert">
      <strong>Claude cannot be used.</strong> {alert}
    </div>
  );
}
