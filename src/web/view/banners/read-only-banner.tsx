/** Nothing can be asked of this session for now. */
export function ReadOnlyBanner({ words }: { words: string }) {
  return (
    <div className="banner" role="alert">
      <strong>Read-only.</strong> {words}
    </div>
  );
}
