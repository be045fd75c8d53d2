declare namespace Cloudflare {
  interface Env {
    /** Migrations of the D1 database, given by vitest.config.ts. */
    TEST_MIGRATIONS: import('cloudflare:test').D1Migration[];
  }
}
