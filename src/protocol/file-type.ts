/**
 * What a file is, by its content: names and declared types are what somebody says. Pure.
 * Signatures: https://mimesniff.spec.whatwg.org and the formats' own specifications.
 */
import { ownValue } from '../lib/own-value.ts';

/** Bytes from the beginning of a file that are enough to tell what it is. */
export const TYPE_BYTES = 4096;

/** Images that every browser draws and that hold no script. */
const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'];

/** What `fileType` knows, as text for users. */
export const KNOWN_TYPES = 'images, PDF, text, zip and gzip';

/** The extensions that fit a type; the first is given to a name that has none of them. */
const EXTENSIONS: Record<string, string[]> = {
  'image/png': ['png'],
  'image/jpeg': ['jpg', 'jpeg'],
  'image/gif': ['gif'],
  'image/webp': ['webp'],
  'image/avif': ['avif'],
  'application/pdf': ['pdf'],
  'application/zip': ['zip', 'docx', 'xlsx', 'pptx', 'odt', 'ods', 'odp'],
  'application/gzip': ['gz', 'tgz'],
};

/** Text whose extension tells more than that it is text. */
const TEXTS: Record<string, string> = {
  csv: 'text/csv',
  json: 'application/json',
  md: 'text/markdown',
  html: 'text/html',
  htm: 'text/html',
  svg: 'image/svg+xml',
  xml: 'application/xml',
};

/**
 * The media type of a file.
 * @param beginning its first `TYPE_BYTES` bytes, or all of it where it has fewer
 * @param name decides between kinds of text only
 * @returns null for content of no known type
 */
export function fileType(beginning: Uint8Array, name: string): string | null {
  const bytes = beginning.subarray(0, TYPE_BYTES);
  const binary = binaryType(bytes);
  if (binary !== null) return binary;
  if (!isText(bytes)) return null;
  const start = new TextDecoder().decode(bytes).trimStart().slice(0, 1000).toLowerCase();
  if (/^(<\?xml[^>]*>\s*)?(<!--[^>]*-->\s*)?(<!doctype svg[^>]*>\s*)?<svg\b/.test(start)) return 'image/svg+xml';
  if (/^(<!--[^>]*-->\s*)?<(!doctype html|html|head|body|script|iframe)\b/.test(start)) return 'text/html';
  return ownValue(TEXTS, extensionOf(name)) ?? 'text/plain';
}

/** True for images that a page can show without danger to its viewers; SVG is not one of them. */
export function isSafeImage(type: string): boolean {
  return IMAGES.includes(type);
}

/** True for everything that is text, markup included. */
export function isTextType(type: string): boolean {
  return type === 'text/plain' || Object.values(TEXTS).includes(type);
}

/** The name with an extension that fits its type: text keeps the one it has, unless that would promise something else. */
export function nameForType(name: string, type: string): string {
  const extension = extensionOf(name);
  const fitting = ownValue(EXTENSIONS, type);
  if (fitting) return fitting.includes(extension) ? name : `${name}.${fitting[0]}`;
  const isPromise = Object.values(EXTENSIONS).some((extensions) => extensions.includes(extension));
  return extension === '' || isPromise ? `${name}.txt` : name;
}

/** The media type that a name given by `nameForType` stands for. */
export function typeOfName(name: string): string {
  const extension = extensionOf(name);
  const binary = Object.entries(EXTENSIONS).find(([, extensions]) => extensions.includes(extension))?.[0];
  return binary ?? ownValue(TEXTS, extension) ?? 'text/plain';
}

function binaryType(bytes: Uint8Array): string | null {
  const startsWith = (signature: number[], at = 0) => signature.every((byte, index) => bytes[at + index] === byte);
  const says = (text: string, at = 0) =>
    startsWith(
      [...text].map((letter) => letter.charCodeAt(0)),
      at,
    );
  if (startsWith([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return 'image/png';
  if (startsWith([0xff, 0xd8, 0xff])) return 'image/jpeg';
  if (says('GIF87a') || says('GIF89a')) return 'image/gif';
  if (says('RIFF') && says('WEBP', 8)) return 'image/webp';
  if (says('ftypavif', 4) || says('ftypavis', 4)) return 'image/avif';
  if (says('%PDF-')) return 'application/pdf';
  if (startsWith([0x50, 0x4b, 0x03, 0x04]) || startsWith([0x50, 0x4b, 0x05, 0x06])) return 'application/zip';
  if (startsWith([0x1f, 0x8b, 0x08])) return 'application/gzip';
  return null;
}

/** UTF-8 without control characters but those of lines, pages, colours and backspaces. */
function isText(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte < 0x20 && ![0x08, 0x09, 0x0a, 0x0c, 0x0d, 0x1b].includes(byte)) return false;
  try {
    // `stream`: the last character may be cut.
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: bytes.length >= TYPE_BYTES });
    return true;
  } catch {
    return false;
  }
}

function extensionOf(name: string): string {
  return /\.([a-z0-9]{1,8})$/i.exec(name)?.[1]?.toLowerCase() ?? '';
}
