import { applyD1Migrations, reset } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, vi } from 'vitest';
import { enforcePlatformLimits } from './support/platform-limits.ts';

// A pool that silently fell back to Node would make every promise tested here worthless.
if (navigator.userAgent !== 'Cloudflare-Workers') throw new Error('these tests must run inside workerd');

/** Shorter than a test's own limit, so that what was waited for is named. */
const WAIT_MS = 50_000;

// Vitest waits one second unless told otherwise, and a busy machine takes longer.
const { waitFor } = vi;
vi.waitFor = (callback, options) => waitFor(callback, options ?? { timeout: WAIT_MS });

beforeAll(async () => {
  // A test that failed may have left its clock, by which those of other files would fail too.
  vi.useRealTimers();
  // The isolate is that of the files before; what they stored and their objects are not.
  await reset();
  await enforcePlatformLimits();
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
});
