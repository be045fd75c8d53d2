/**
 * Refuses a Worker that has grown too large: `node dev/checks/worker-size.ts [file]`, after `wrangler deploy --dry-run --outdir dist/worker`.
 * Cloudflare takes 10 MB gzip; what is bounded here is the time that a cold start spends on reading the code.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PROJECT } from '../settings.ts';

const LIMIT_BYTES = 450_000;

const file = process.argv[2] ?? join(PROJECT, 'dist/worker/index.js');
const code = readFileSync(file);
const size = gzipSync(code).length;
const told = `The Worker has ${kB(size)} gzip (${kB(code.length)}); the limit is ${kB(LIMIT_BYTES)}.`;
if (size > LIMIT_BYTES) {
  console.error(`cyrus: ${told} See docs/decisions/worker-size.md.`);
  process.exit(1);
}
console.log(told);

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
