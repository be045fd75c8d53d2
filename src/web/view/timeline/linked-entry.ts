/** The entry that the address names, as in `/sessions/…#e1234`; null if it names none. */
export function linkedEntry(hash: string): number | null {
  const seq = Number(/^#e(\d{1,15})$/.exec(hash)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(seq) && seq > 0 ? seq : null;
}
