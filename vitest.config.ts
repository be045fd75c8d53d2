import { availableParallelism } from 'node:os';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-pool-workers';
import { defineConfig } from 'vitest/config';
import { z } from 'zod';

/** Secrets and addresses of the Worker under test. Nothing here is a credential of anything. */
const testBindings = {
  ENVIRONMENT: 'local',
  PUBLIC_URL: 'http://cyrus.test',
  SANDBOX: 'endpoint',
  SANDBOX_ENDPOINT_URL: 'http://127.0.0.1:1',
  SANDBOX_ENDPOINT_SECRET: 'test-endpoint-secret-0123456789',
  LINEAR_WEBHOOK_SECRET: 'test-webhook-secret',
  GITHUB_WEBHOOK_SECRET: 'test-github-webhook-secret',
  ENCRYPTION_KEY: btoa('0123456789abcdef0123456789abcdef'),
  ENCRYPTION_KEY_OLD: btoa('the-key-before-of-32-bytes------'),
  LINEAR_CLIENT_ID: 'test-client-id',
  LINEAR_CLIENT_SECRET: 'test-client-secret-0123456789',
  OAUTH_CALLBACK_ALLOW: 'https://cyrus.example/done, https://*.cyrus.example.workers.dev',
  ADMIN_TOKEN: 'test-admin-token-0123456789abcdef',
  ACCESS_PASSWORD: 'test-access-password',
  CLAUDE_CODE_OAUTH_TOKEN: 'real-oauth-token-of-the-test',
};

/** How much of what is random is tried (tests/histories.ts): `npm run test:fast` tries a part. */
const provide = { shareOfHistories: z.coerce.number().gt(0).max(1).default(1).parse(process.env.CYRUS_HISTORIES) };

/** The quick run shares processes between files; in the whole run each file is alone, so that none passes or fails by another. */
const isolate = provide.shareOfHistories === 1;

const WORKER_TESTS = ['tests/worker/**/*.test.ts'];
/** What changes the Worker's bindings themselves needs a Worker that has not read its configuration yet. */
const OTHER_BINDINGS = ['tests/worker/alerts.test.ts'];

/** Tests in workerd, with the Worker's own bindings. */
function workerProject(name: string, which: { include: string[]; exclude?: string[]; isolate: boolean }) {
  return {
    plugins: [
      cloudflareTest(async () => ({
        wrangler: { configPath: './wrangler.toml' },
        miniflare: {
          bindings: { ...testBindings, TEST_MIGRATIONS: await readD1Migrations('./migrations') },
        },
      })),
    ],
    test: { ...which, name, setupFiles: ['tests/worker/setup.ts'], provide, testTimeout: 60_000 },
  };
}

export default defineConfig({
  test: {
    // Vitest would keep one processor for itself, which has little to do.
    maxWorkers: Math.max(2, availableParallelism()),
    // What the Worker logs is shown for tests that fail.
    silent: 'passed-only',
    // `npm run test:coverage`. V8's own coverage is not to be had from workerd.
    coverage: {
      provider: 'istanbul',
      include: ['src/**/*.{ts,tsx}', 'container/**/*.ts'],
      reporter: ['text-summary'],
      // A test that fails does not change what the others run.
      reportOnFailure: true,
    },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['tests/unit/**/*.test.ts'],
          environment: 'node',
          provide,
          isolate,
          // Histories by the thousand and real gits take their time on a busy machine.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'dev',
          include: ['tests/dev/**/*.test.ts'],
          environment: 'node',
          isolate,
          // Commands and the real CLI take their time on a busy machine.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'container',
          include: ['tests/container/**/*.test.ts'],
          environment: 'node',
          // Each runs the real CLI and git many times over: a minute is quick on a busy machine.
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
      // In the quick run the Worker is loaded once, not for each file; setup.ts empties its storage in between.
      ...(isolate
        ? [workerProject('worker', { include: WORKER_TESTS, isolate })]
        : [
            workerProject('worker', { include: WORKER_TESTS, exclude: OTHER_BINDINGS, isolate }),
            workerProject('worker-alone', { include: OTHER_BINDINGS, isolate: true }),
          ]),
    ],
  },
});
