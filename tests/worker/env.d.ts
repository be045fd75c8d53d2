declare namespace Cloudflare {
  /** What vitest.config.ts gives on top of wrangler.toml. */
  interface Env {
    /** Migrations of the D1 database. */
    TEST_MIGRATIONS: import('cloudflare:test').D1Migration[];
    LINEAR_CLIENT_ID: string;
    LINEAR_CLIENT_SECRET: string;
    ENCRYPTION_KEY_OLD: string;
  }
}

/** A file as text. */
declare module '*?raw' {
  const text: string;
  export default text;
}

/** Vite's, as far as tests use it. */
interface ImportMeta {
  glob<Value>(pattern: string, options: { eager: true; import: 'default' }): Record<string, Value>;
}
