/**
 * Refuses a page that has grown too large: `node dev/checks/page-size.ts [folder]`, after `npm run build:web`. Counted is what the page of a
 * session loads before it can be used: the scripts and styles that index.html names, and what they import at once, as gzip.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PROJECT } from '../settings.ts';

const LIMIT_BYTES = 250_000;

const folder = process.argv[2] ?? join(PROJECT, 'dist/web');
const waiting = [...readFileSync(join(folder, 'index.html'), 'utf8').matchAll(/\/assets\/[\w.-]+\.(?:js|css)/g)].map(
  ([path]) => path.slice(1),
);
const loaded = new Map<string, number>();
for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
  if (loaded.has(path)) continue;
  const code = readFileSync(join(folder, path));
  loaded.set(path, gzipSync(code).length);
  if (!path.endsWith('.js')) continue;
  // `import … from "./x.js"` and `import "./x.js"`; what is imported by a call is loaded on demand.
  const imports = code.toString().matchAll(/(?:from|import)\s?["']\.\/([\w.-]+\.js)["']/g);
  waiting.push(...[...imports].map(([, name]) => `assets/${name}`));
}
const size = [...loaded.values()].reduce((sum, bytes) => sum + bytes, 0);
const told = `The page of a session loads ${(size / 1000).toFixed(1)} kB gzip in ${loaded.size} files; the limit is ${LIMIT_BYTES / 1000} kB.`;
if (size > LIMIT_BYTES) {
  console.error(`cyrus: ${told} Load what is not needed at once on demand.`);
  process.exit(1);
}
console.log(told);
