/** What a value of a variable may look like, whatever the variable: each schema says in its error what to set instead. */
import * as z from 'zod';
import { withoutEnding } from '../lib/linear-time.ts';

export const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
export const optionalText = z
  .string()
  .optional()
  .transform((value) => (value === undefined || value === '' ? null : value));
export const address = z
  .url({ protocol: /^https?$/, error: 'must be an http(s) address' })
  .transform(withoutTrailingSlash);
/** Sentry's address for a project, which has its key: https://KEY@HOST/PROJECT (docs.sentry.io, "DSN"). */
export const sentryDsn = z.string().regex(/^https?:\/\/[\w-]{8,}(?::[^@/]*)?@[\w.-]+(?::\d+)?(?:\/[\w.-]+)*\/\d+$/, {
  error: 'must be the DSN that Sentry shows under Client Keys: https://KEY@HOST/PROJECT',
});
/** A secret that somebody could guess is refused: too short, or made of a few characters again and again. */
export const secret = (least: number) =>
  z
    .string()
    .min(least, `must have at least ${least} characters: openssl rand -base64 32`)
    .refine((value) => isVaried(value, MIN_DISTINCT_CHARACTERS), {
      error: 'repeats a few characters, so it can be guessed: make one with openssl rand -base64 32',
    });
const MIN_DISTINCT_CHARACTERS = 6;
const MIN_DISTINCT_KEY_BYTES = 12;

export const key = () =>
  z
    .string()
    .refine(isKey, { error: 'must be 32 random bytes in base64: openssl rand -base64 32', abort: true })
    .refine((value) => isVaried(atob(value), MIN_DISTINCT_KEY_BYTES), {
      error: 'repeats a few bytes, so it is not random: openssl rand -base64 32',
    });
/** An address or, without a path, a whole origin; `*` in the host stands for one label or a part of one. */
const callbackPattern = /^https?:\/\/[\w.*-]+(:\d+)?(\/[^\s?#*]*)?$/;
export const callbackList = z
  .string()
  .default('')
  .transform((value) => value.split(/[\s,]+/).filter((entry) => entry !== ''))
  .refine((entries) => entries.every(isCallbackPattern), {
    error:
      'must be addresses separated by commas, https except on a loopback host; a * may replace one label of the host, except the last two: https://*.cyrus.example.workers.dev',
  });

function isVaried(value: string, least: number): boolean {
  return new Set(value).size >= least;
}

/** A star in the last two labels would allow addresses of anybody. */
function isCallbackPattern(entry: string): boolean {
  if (!callbackPattern.test(entry)) return false;
  const { protocol, host } = /^(?<protocol>https?:)\/\/(?<host>[^/:]+)/.exec(entry)?.groups ?? {};
  if (protocol === undefined || host === undefined) return false;
  if (host.split('.').slice(-2).join('').includes('*')) return false;
  return protocol === 'https:' || ['localhost', '127.0.0.1'].includes(host);
}

function withoutTrailingSlash(url: string): string {
  return withoutEnding(url, '/');
}

function isKey(value: string): boolean {
  try {
    return atob(value).length === 32;
  } catch {
    return false;
  }
}
