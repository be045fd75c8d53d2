/**
 * `next`, with every part that equals the part at the same place in `previous` replaced by that very object. Journal
 * entries (anything with a `seq`) never change and are compared by identity. Takes plain objects, arrays and scalars.
 */
export function shared<T>(previous: T, next: T): T {
  if (Object.is(previous, next)) return previous;
  if (Array.isArray(previous) && Array.isArray(next)) {
    const merged = next.map((value, index) => (index < previous.length ? shared(previous[index], value) : value));
    const same = previous.length === merged.length && merged.every((value, index) => value === previous[index]);
    return same ? previous : (merged as T);
  }
  if (!isPlain(previous) || !isPlain(next) || 'seq' in next) return next;
  const keys = Object.keys(next);
  const merged: Record<string, unknown> = {};
  let same = keys.length === Object.keys(previous).length;
  for (const key of keys) {
    merged[key] = shared(previous[key], next[key]);
    same &&= Object.is(merged[key], previous[key]);
  }
  return same ? previous : (merged as T);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
