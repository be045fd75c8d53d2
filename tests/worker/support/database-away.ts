/** D1 as it is while it fails, or while it is locked and answers nothing. Spies: `vi.restoreAllMocks` or `back` ends it. */
import { env } from 'cloudflare:workers';
import { vi } from 'vitest';

export function databaseAway(how: 'fails' | 'is locked'): { back: () => void; asked: () => number } {
  const statement = Object.getPrototypeOf(env.DB.prepare('select 1')) as D1PreparedStatement;
  const spies = (['run', 'all', 'raw', 'first'] as const).map((method) =>
    vi
      .spyOn(statement, method)
      .mockImplementation(() =>
        how === 'fails' ? Promise.reject(new Error('D1_ERROR: Network connection lost.')) : new Promise(() => {}),
      ),
  );
  return {
    back: () => {
      for (const spy of spies) spy.mockRestore();
    },
    asked: () => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0),
  };
}
