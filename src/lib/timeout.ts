/**
 * Runs work that is aborted after a time. Not `AbortSignal.timeout`: its timer lives on after the work is done, and a
 * pending timer keeps a Durable Object in memory (and billed) until it fires.
 * @param ms longest time in milliseconds
 * @param work is given the signal that aborts it, with a TimeoutError as reason
 */
export async function withTimeout<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new DOMException(`no answer within ${ms / 1000} s`, 'TimeoutError'));
  }, ms);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether work ended because its time in `withTimeout` was up. */
export function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

/**
 * Waits for something no longer than a time; what it comes to later is nobody's any more, unless the caller looks.
 * @param ms longest wait in milliseconds
 * @returns what it comes to; `late` after that time
 */
export async function settledWithin<T>(ms: number, work: Promise<T>): Promise<T | 'late'> {
  const { promise, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
