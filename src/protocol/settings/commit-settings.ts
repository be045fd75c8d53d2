/** How commits of sessions are made in a repository, as an admin sets it. Pure. */
import * as z from 'zod';

/** What a message may name in double braces. */
export const COMMIT_WORDS = ['identifier', 'title', 'branch', 'type', 'url'] as const;

export const DEFAULT_COMMIT_MESSAGE = 'Work in progress on {{branch}}';

const messageSchema = z
  .string()
  .trim()
  .min(1)
  .max(1_000)
  .superRefine((template, context) => {
    const words = [...template.matchAll(/\{\{([^{}]*)\}\}/g)].map(([, word = '']) => word.trim());
    const strange = words.find((word) => !COMMIT_WORDS.some((known) => known === word));
    if (strange === undefined) return;
    const known = COMMIT_WORDS.map((word) => `{{${word}}}`).join(', ');
    context.addIssue({ code: 'custom', message: `{{${strange}}} is not known; a message may have ${known}` });
  });

export const commitSettingsSchema = z.object({
  /**
   * Message of the commit that holds what Claude left uncommitted, and the form in which Claude writes its own, e.g.
   * `{{type}}: {{title}} ({{identifier}})`. `type`: `fix` for a debugger, else `feat`.
   */
  messageTemplate: messageSchema.default(DEFAULT_COMMIT_MESSAGE),
  /** Each message ends in `Signed-off-by`, with the author of the commits (developercertificate.org). */
  signOff: z.boolean().default(false),
  /** Who asked shares in the commits, by `Co-authored-by`, where Linear tells an address. */
  coAuthor: z.boolean().default(true),
  /** The repository's commit hooks run. */
  hooks: z.boolean().default(false),
});
