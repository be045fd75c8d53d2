/**
 * Files that people dropped into an issue or a comment: Markdown links to Linear's host for uploads. Pure.
 * Source: https://linear.app/developers/file-storage-authentication
 */
import { withoutEnding } from '../lib/linear-time.ts';
import { cutWhole } from '../protocol/text/sendable-text.ts';

/** A link to a file. */
export interface Upload {
  /** Its address without a query: the same for every link to the file. */
  address: string;
  /** The address with a signature, which is good without a token for a while; null if the link has none. */
  signed: string | null;
  /** What the link is called, or the last part of its address: untrusted text. */
  name: string;
}

/** Words of a link hold no bracket and an address no space, so that any text is read in one go. */
const LINK = /(?:\[([^\][\n]{0,300})\]\(<?)?(https?:\/\/(?:[^\s<>()"'`\]\\]|\([^\s<>()"'`\]\\]{0,200}\)){1,2000})/gi;
const MAX_NAME = 200;

/** The uploads that a Markdown text links, in their order, each once. @param uploadsUrl as in the configuration */
export function findUploads(text: string, uploadsUrl: string): Upload[] {
  if (!text.toLowerCase().includes(new URL(uploadsUrl).host)) return [];
  const found = new Map<string, Upload>();
  for (const [, words, link = ''] of text.matchAll(LINK)) {
    const url = uploadAddress(words === undefined ? withoutEnding(link, '.,;:!?*_|') : link, uploadsUrl);
    if (!url) continue;
    const address = url.origin + url.pathname;
    const signed = url.searchParams.has('signature') ? address + url.search : null;
    const known = found.get(address);
    if (known) known.signed ??= signed;
    else found.set(address, { address, signed, name: cutWhole(words?.trim() || lastPart(url), MAX_NAME) });
  }
  return [...found.values()];
}

/**
 * An address under Linear's host for uploads.
 * @returns null for every other one: another host that merely looks like it, another port, with a user in it
 */
export function uploadAddress(link: string, uploadsUrl: string): URL | null {
  if (!URL.canParse(link)) return null;
  const url = new URL(link);
  const base = new URL(uploadsUrl);
  const folder = `${base.pathname.replace(/\/$/, '')}/`;
  const isUpload =
    url.origin === base.origin &&
    url.username === '' &&
    url.password === '' &&
    url.pathname.startsWith(folder) &&
    url.pathname.length > folder.length;
  return isUpload ? url : null;
}

function lastPart(url: URL): string {
  const part = url.pathname.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
