/**
 * Waits for something, but not for ever; it goes on by itself where the time is over.
 * @returns whether it was done in time. Rejects as it does
 */
export async function within(limitMs: number, done: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([done.then(() => true), limit]);
  } finally {
    clearTimeout(timer);
  }
}
