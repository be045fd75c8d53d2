/** What an issue session tells its sandbox to do. */
import * as z from 'zod';

const uuid = z.uuid();

/** What people decide about a tool that asks; the message is for Claude. */
export const decisionSchema = z.discriminatedUnion('allowed', [
  z.object({ allowed: z.literal(true) }),
  z.object({ allowed: z.literal(false), message: z.string().min(1) }),
]);
export type Decision = z.infer<typeof decisionSchema>;

/**
 * Body of `POST /sessions/:id/commands`. The same id sent twice is carried out once.
 * - `prompt`: a user message; written to the CLI at once, also mid-turn. Its id is the message's uuid.
 * - `answer`: to a question of Claude's (`can_use_tool` of AskUserQuestion); refused with 409 if it is not open any more.
 * - `decide`: on a tool that asks to be let run (`can_use_tool` of any other tool); refused with 409 likewise. It runs with the
 *   input it asked with, or is told the message.
 * - `stop`: interrupt, then end the CLI's whole process tree; what was done is saved, and a `saved` event always closes
 *   the stop, also when nothing ran. It concerns its turn and earlier ones: their prompts are dropped when they arrive
 *   later, and the work of a later turn continues undisturbed.
 */
export const sandboxCommandSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('prompt'), id: uuid, turn: z.number().int().positive(), text: z.string().min(1) }),
  z.object({
    type: z.literal('answer'),
    id: uuid,
    requestId: z.string().min(1),
    /** The tool's input, completed by the answers, as the CLI wants it back. */
    input: z.record(z.string(), z.unknown()),
  }),
  z.object({
    type: z.literal('decide'),
    id: uuid,
    requestId: z.string().min(1),
    decision: decisionSchema,
  }),
  z.object({ type: z.literal('stop'), id: uuid, turn: z.number().int().nonnegative() }),
]);
export type SandboxCommand = z.infer<typeof sandboxCommandSchema>;
