/**
 * A push that waits for people: what the gateway says of it in the refusal that git prints, and how the sandbox server asks. It
 * asks as a tool does that needs permission, by a `control_request` among the CLI's lines; the CLI itself can name no such tool.
 */
import * as z from 'zod';
import { parseJson } from '../lib/parse-json.ts';

/** Name under which a push asks; a line of the CLI's that has it is refused by the sandbox server. */
export const HELD_PUSH_TOOL = 'CyrusPush';
/** Longest diff that people are asked about, in UTF-16 code units: what nobody can read is not asked about. */
export const MAX_HELD_DIFF = 24 * 1024;

/** What the question holds. `fingerprint`: of the contents, as the gateway computed it; `files`: what the gateway named. */
export const heldPushSchema = z.object({
  files: z.array(z.string().min(1)).min(1),
  diff: z.string().min(1).max(MAX_HELD_DIFF),
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
});
export type HeldPush = z.infer<typeof heldPushSchema>;

/** The part of a refusal that names what is held. */
export function heldMark({ files, fingerprint }: Pick<HeldPush, 'files' | 'fingerprint'>): string {
  return `[held ${fingerprint}: ${files.map((file) => JSON.stringify(file)).join(', ')}]`;
}

/** Reads what `heldMark` wrote; null if a refusal names nothing that is held. */
export function readHeldMark(text: string): Pick<HeldPush, 'files' | 'fingerprint'> | null {
  const begin = /\[held ([0-9a-f]{64}): /.exec(text);
  const fingerprint = begin?.[1];
  if (!begin || fingerprint === undefined) return null;
  const list = text.slice(begin.index + begin[0].length).split(']: ')[0] ?? '';
  const parsed = z
    .array(z.string().min(1))
    .min(1)
    .safeParse(parseJson(`[${list}]`));
  return parsed.success ? { files: parsed.data, fingerprint } : null;
}
