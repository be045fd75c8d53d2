/** Ids that the app may choose itself, so that a repeated create is recognized. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { invalidArgument } from '../errors.ts';

const uuidV4 = z.uuidv4();

/**
 * @param given the `id` of an input
 * @returns that id in lower case, or a new one
 * @throws LinearError when it is no UUID v4
 */
export function clientId(given: string | null | undefined): string {
  if (given === null || given === undefined) return randomUUID();
  if (!uuidV4.safeParse(given).success) throw invalidArgument('id', 'isUuid', 'id must be a UUID v4');
  return given.toLowerCase();
}
