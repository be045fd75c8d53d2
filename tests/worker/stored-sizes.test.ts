import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createTables } from '../../src/session/storage/tables.ts';
import { MOST_ROW_BYTES, watchStorage } from './support/platform-limits.ts';

const JAPANESE = '日本語の長い文章です。';

describe('the storage of these tests', () => {
  it('refuses what the platform refuses: more than 2 MB in a row, counted in bytes', async () => {
    const stored = watchStorage();
    await runInDurableObject(env.WORKSPACE_QUEUE.getByName('too-large'), (_object, { storage }) => {
      createTables(storage);
      const text = JAPANESE.repeat(MOST_ROW_BYTES / 20);
      expect(text.length).toBeLessThan(MOST_ROW_BYTES);
      const put = () => storage.sql.exec('INSERT INTO prompts (id, text) VALUES (?, ?)', 'a', text);
      expect(put).toThrow('bytes in one row');
      expect(() => storage.kv.put('large', text)).toThrow('bytes in one row');
    });
    expect(() => env.DB.prepare('SELECT ?').bind('x'.repeat(MOST_ROW_BYTES + 1))).toThrow('bytes in one row');
    expect(stored.largest).toBeGreaterThan(MOST_ROW_BYTES);
    stored.end();
  });
});
