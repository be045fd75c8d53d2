/** Reads single commits, trees and files from the git host, and where a branch is there, by git's protocol version 2 (gitprotocol-v2(5)). */

import { bodyReader } from '../../lib/body-reader.ts';
import type { Fetch } from '../forwarding.ts';
import type { Claims } from '../token.ts';
import { beginningOf, MAX_ADVERTISEMENT, packetOf, packOf, V2 } from './ancestry.ts';
import { askGitHost, type GitRemote } from './host.ts';
import { readPackCommits } from './pack-commits.ts';
import { PackObjects } from './pack-objects.ts';

/** Requests for one push: each tree that is looked at is one. */
const MAX_REQUESTS = 60;
const MAX_REFS_BYTES = 64 * 1024;

export class HostObjects {
  readonly #claims: Claims;
  readonly #remote: GitRemote;
  readonly #fetcher: Fetch;
  readonly #trees = new Map<string, Uint8Array>();
  readonly #blobs = new Map<string, Uint8Array>();
  readonly #commits = new Map<string, string>();
  #capabilities: Promise<string> | null = null;
  #requests = 0;

  constructor(claims: Claims, remote: GitRemote, fetcher: Fetch) {
    this.#claims = claims;
    this.#remote = remote;
    this.#fetcher = fetcher;
  }

  /** The tree of a commit that the host has; null if it cannot be read. */
  async treeOf(commit: string): Promise<string | null> {
    if (!this.#commits.has(commit)) await this.#fetch(commit, ['deepen 1']);
    return this.#commits.get(commit) ?? null;
  }

  /** A tree that the host has, as git stores it; null if it cannot be read. */
  async tree(id: string): Promise<Uint8Array | null> {
    if (!this.#trees.has(id)) await this.#fetch(id, []);
    return this.#trees.get(id) ?? null;
  }

  /** The content of a file that the host has; null if it cannot be read, or is larger than people are shown. */
  async blob(id: string): Promise<Uint8Array | null> {
    if (!this.#blobs.has(id)) await this.#fetch(id, []);
    return this.#blobs.get(id) ?? null;
  }

  /** The commit at which a branch is; null if there is none, `unknown` where the host does not say. */
  async tip(branch: string): Promise<string | null> {
    const ref = `refs/heads/${branch}`;
    const lines = ['command=ls-refs', null, `ref-prefix ${ref}`];
    const answer = await this.#ask(lines);
    if (!answer) return null;
    for (const line of (await beginningOf(answer, MAX_REFS_BYTES)).split('\n')) {
      const [, id, name] = /^[0-9a-f]{4}([0-9a-f]{64}|[0-9a-f]{40}) (\S+)$/.exec(line) ?? [];
      if (id !== undefined && name !== undefined && latin1Of(ref) === name) return id;
    }
    return null;
  }

  async #fetch(id: string, more: string[]): Promise<void> {
    const isSha256 = id.length === 64;
    const filter = /^[0-9a-f]{4}fetch=.*\bfilter\b/m.test(await this.#said()) ? ['filter tree:1'] : [];
    const format = isSha256 ? ['object-format=sha256'] : [];
    const lines = ['command=fetch', ...format, null, 'no-progress', ...more, ...filter, `want ${id}`, 'done'];
    const answer = await this.#ask(lines);
    if (!answer?.body) return;
    const reader = packOf(bodyReader(answer.body));
    try {
      const { trees, rest } = await readPackCommits(new Uint8Array(0), 0, reader, id.length);
      for (const [commit, tree] of trees) this.#commits.set(commit, tree);
      const objects = new PackObjects(rest, id.length);
      const wanted = trees.get(id) ?? id;
      const tree = await objects.tree(wanted);
      if (tree) this.#trees.set(wanted, tree);
      const blob = tree ? null : await objects.blob(wanted);
      if (blob) this.#blobs.set(wanted, blob);
    } catch {
      // What cannot be read is not known; the push is refused then.
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  async #ask(lines: (string | null)[]): Promise<Response | null> {
    this.#requests += 1;
    if (this.#requests > MAX_REQUESTS || !(await this.#said()).includes('version 2')) return null;
    const body = `${lines.map((line) => (line === null ? '0001' : packetOf(utf8AsLatin1(line)))).join('')}0000`;
    const bytes = Uint8Array.from(body, (character) => character.charCodeAt(0));
    const headers = { ...V2, 'content-type': 'application/x-git-upload-pack-request' };
    const request = new Request('http://gateway/', { method: 'POST', headers });
    const stream = new Blob([bytes]).stream();
    const answer = await askGitHost(request, 'git-upload-pack', stream, this.#claims, this.#remote, this.#fetcher);
    return answer instanceof Response ? answer : null;
  }

  /** What the host can do, asked once. */
  async #said(): Promise<string> {
    this.#capabilities ??= (async () => {
      const request = new Request('http://gateway/', { headers: V2 });
      const service = 'info/refs?service=git-upload-pack';
      const answer = await askGitHost(request, service, null, this.#claims, this.#remote, this.#fetcher);
      return answer instanceof Response ? await beginningOf(answer, MAX_ADVERTISEMENT) : '';
    })();
    return await this.#capabilities;
  }
}

/** Bytes of UTF-8 as one character each: so that lengths are those of what is sent, and names compare as they came. */
function utf8AsLatin1(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join('');
}

function latin1Of(text: string): string {
  return new TextDecoder('latin1').decode(new TextEncoder().encode(text));
}
