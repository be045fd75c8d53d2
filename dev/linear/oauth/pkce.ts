/** Proof Key for Code Exchange (RFC 7636): that who brings the code is who asked for it. */
import { createHash } from 'node:crypto';
import { z } from 'zod';

export const challengeMethodSchema = z.enum(['S256', 'plain']);

export interface Challenge {
  value: string;
  method: z.infer<typeof challengeMethodSchema>;
}

/** RFC 7636, 4.1: of a verifier, and so of a plain challenge. */
const VERIFIER = /^[A-Za-z0-9\-._~]{43,128}$/;
/** SHA-256 in base64url without padding. */
const S256_CHALLENGE = /^[A-Za-z0-9_-]{43}$/;

/** @returns what is wrong with a challenge, or null */
export function problemOfChallenge({ value, method }: Challenge): string | null {
  if (method === 'plain')
    return VERIFIER.test(value) ? null : 'code_challenge must have 43 to 128 unreserved characters';
  return S256_CHALLENGE.test(value) ? null : 'code_challenge must be a SHA-256 in base64url, 43 characters';
}

/** @returns whether the verifier is the one of which the challenge was made */
export function proves(verifier: string, { value, method }: Challenge): boolean {
  if (!VERIFIER.test(verifier)) return false;
  return (method === 'plain' ? verifier : createHash('sha256').update(verifier).digest('base64url')) === value;
}
