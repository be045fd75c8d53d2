/**
 * Versions of what crosses between the parts of Cyrus that are deployed one after the other. Parts whose versions differ by
 * one work together: the newer one sends nothing the older one cannot do without, and each tolerates fields, frames and
 * events that it does not know. A greater difference is refused in words that name both. A part that says no version is of
 * the first.
 */
import * as z from 'zod';

/** Between the Worker and a sandbox server: in a start, its status, and every batch of events with its answer. */
export const SANDBOX_PROTOCOL = 2;
/** Between the Worker and a page: in the address of the live socket, and in its first frame. */
export const PAGE_PROTOCOL = 2;

const FIRST_PROTOCOL = 1;
const MOST_APART = 1;

/** A version as it is sent; left out by the first. */
export const protocolSchema = z.int().positive().optional();

/** A part of Cyrus, as people know it, with its version. */
interface Part {
  name: string;
  protocol: number | undefined;
}

/**
 * Whether two parts work together.
 * @returns null, or why they do not, as a sentence without its full stop
 */
export function protocolMismatch(own: Part, other: Part): string | null {
  const [mine, theirs] = [own.protocol ?? FIRST_PROTOCOL, other.protocol ?? FIRST_PROTOCOL];
  if (Math.abs(mine - theirs) <= MOST_APART) return null;
  return `${own.name} speaks version ${mine} of the protocol and ${other.name} version ${theirs}; they may be at most ${MOST_APART} apart`;
}
