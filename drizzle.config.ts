import { defineConfig } from 'drizzle-kit';

/** `npm run db:generate`: compares the schema with the migrations and writes the missing one. */
export default defineConfig({
  dialect: 'sqlite',
  schema: './src/store/schema.ts',
  out: './migrations',
});
