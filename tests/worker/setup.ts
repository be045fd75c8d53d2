import { applyD1Migrations } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll } from 'vitest';
import { enforcePlatformLimits } from './support/platform-limits.ts';

// A pool that silently fell back to Node would make every promise tested here worthless.
if (navigator.userAgent !== 'Cloudflare-Workers') throw new Error('these tests must run inside workerd');

beforeAll(async () => {
  await enforcePlatformLimits();
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
});
