/** The Worker's router: Hono's own, which is asked once for each address that has no parameters. */
import type { Result, Router } from 'hono/router';
import { RegExpRouter } from 'hono/router/reg-exp-router';
import { SmartRouter } from 'hono/router/smart-router';
import { TrieRouter } from 'hono/router/trie-router';

/** The method comes from outside. */
const MOST_KNOWN = 500;

/**
 * Names of repositories have slashes in them, which Hono's fast router does not take, so that it walks through a tree of all routes
 * for each request: a twentieth of what a webhook costs. What it finds depends on method and path alone.
 */
export class RememberingRouter<T> implements Router<T> {
  readonly name = 'RememberingRouter';
  readonly #router = new SmartRouter<T>({ routers: [new RegExpRouter<T>(), new TrieRouter<T>()] });
  /** Paths that were added without parameters. */
  readonly #plain = new Set<string>();
  readonly #known = new Map<string, Result<T>>();

  add(method: string, path: string, handler: T): void {
    if (!/[:*]/.test(path)) this.#plain.add(path);
    this.#router.add(method, path, handler);
  }

  match(method: string, path: string): Result<T> {
    if (!this.#plain.has(path)) return this.#router.match(method, path);
    const name = `${method} ${path}`;
    const known = this.#known.get(name) ?? this.#router.match(method, path);
    if (this.#known.size < MOST_KNOWN) this.#known.set(name, known);
    return known;
  }
}
