/** Asks the git host whether a commit is in the history of others or of a branch, by a fetch that is ended after its commits (gitprotocol-v2(5)). */
import { type BodyReader, bodyReader } from '../../lib/body-reader.ts';
import type { Fetch } from '../forwarding.ts';
import type { Claims } from '../token.ts';
import { askGitHost, type GitRemote } from './host.ts';
import { readPackCommits } from './pack-commits.ts';

export const V2 = { 'git-protocol': 'version=2' };
export const MAX_ADVERTISEMENT = 64 * 1024;

/**
 * Whether the host knows `part` as part of the history of one of `tips`.
 * @returns false also when the host cannot be asked, or does not speak version 2: then it is not known
 */
export async function isInHistory(
  part: string,
  tips: readonly string[],
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<boolean> {
  if (tips.includes(part)) return true;
  if (tips.length === 0) return false;
  const advertised = await askGitHost(
    new Request('http://gateway/', { headers: V2 }),
    'info/refs?service=git-upload-pack',
    null,
    claims,
    remote,
    fetcher,
  );
  if (!(advertised instanceof Response)) return false;
  const capabilities = await beginningOf(advertised, MAX_ADVERTISEMENT);
  if (!capabilities.includes('version 2')) return false;
  const isSha256 = part.length === 64;
  const lines = [
    'command=fetch',
    ...(isSha256 ? ['object-format=sha256'] : []),
    null,
    'no-progress',
    'ofs-delta',
    ...(/^fetch=.*\bfilter\b/m.test(capabilities) ? ['filter tree:0'] : []),
    ...tips.map((tip) => `want ${tip}`),
    `have ${part}`,
    'done',
  ];
  const body = `${lines.map((line) => (line === null ? '0001' : packetOf(line))).join('')}0000`;
  const headers = { ...V2, 'content-type': 'application/x-git-upload-pack-request' };
  const stream = new Blob([body]).stream();
  const answer = await askGitHost(
    new Request('http://gateway/', { method: 'POST', headers }),
    'git-upload-pack',
    stream,
    claims,
    remote,
    fetcher,
  );
  if (!(answer instanceof Response) || !answer.body) return false;
  const reader = packOf(bodyReader(answer.body));
  try {
    const { commits } = await readPackCommits(new Uint8Array(0), 0, reader, part.length);
    return [...commits.values()].some((parents) => parents.includes(part));
  } catch {
    return false;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/**
 * Whether a commit is on a branch, at its tip or before it, as the host says now.
 * @returns false also when the host does not say
 */
export async function isOnBranch(
  commit: string,
  branch: string,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<boolean> {
  const tip = await tipOf(branch, claims, remote, fetcher);
  return tip !== null && (tip === commit || (await isInHistory(commit, [tip], claims, remote, fetcher)));
}

async function tipOf(branch: string, claims: Claims, remote: GitRemote, fetcher: Fetch): Promise<string | null> {
  const ref = `refs/heads/${branch}`;
  const body = `${packetOf('command=ls-refs')}0001${packetOf(`ref-prefix ${ref}`)}0000`;
  const headers = { ...V2, 'content-type': 'application/x-git-upload-pack-request' };
  const request = new Request('http://gateway/', { method: 'POST', headers });
  const answer = await askGitHost(request, 'git-upload-pack', new Blob([body]).stream(), claims, remote, fetcher);
  if (!(answer instanceof Response)) return null;
  const listed = await beginningOf(answer, MAX_ADVERTISEMENT);
  for (const line of listed.split('\n')) {
    // Four digits with the length of the packet come first.
    const [id = '', name] = line.slice(4).split(' ');
    if (name === ref && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(id)) return id;
  }
  return null;
}

export function packetOf(line: string): string {
  return `${(line.length + 5).toString(16).padStart(4, '0')}${line}\n`;
}

export async function beginningOf(answer: Response, most: number): Promise<string> {
  if (!answer.body) return '';
  const reader = bodyReader(answer.body);
  let text = '';
  try {
    while (text.length < most) {
      const piece = await reader.read(1);
      if (!piece) break;
      text += new TextDecoder('latin1').decode(piece);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
  return text;
}

/** The pack in the answer to a fetch: what comes after the line `packfile` on side band 1. */
export function packOf(answer: BodyReader): BodyReader {
  let held = new Uint8Array(0);
  let isPack = false;
  const packet = async (): Promise<Uint8Array | null> => {
    for (;;) {
      if (held.byteLength >= 4) {
        const length = Number.parseInt(new TextDecoder('latin1').decode(held.subarray(0, 4)), 16);
        if (Number.isNaN(length)) return null;
        const size = Math.max(4, length);
        if (held.byteLength >= size) {
          const data = held.slice(4, size);
          held = held.slice(size);
          return data;
        }
      }
      const piece = await answer.read(1);
      if (!piece) return null;
      const grown = new Uint8Array(held.byteLength + piece.byteLength);
      grown.set(held);
      grown.set(piece, held.byteLength);
      held = grown;
    }
  };
  return {
    read: async () => {
      for (;;) {
        const data = await packet();
        if (data === null) return null;
        if (!isPack) isPack = new TextDecoder('latin1').decode(data).startsWith('packfile');
        else if (data[0] === 1 && data.byteLength > 1) return data.subarray(1);
      }
    },
    cancel: (reason) => answer.cancel(reason),
  };
}
