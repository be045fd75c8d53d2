/** What Claude asks people by its tool AskUserQuestion, from the call's input, whatever shape that has. Pure. */
import * as z from 'zod';

const inputSchema = z.object({
  questions: z.array(z.object({ question: z.string(), options: z.array(z.object({ label: z.string() })).optional() })),
});

/** One line a question, with its options: "Which colour? Red · Blue". Empty where the input tells nothing. */
export function questionLines(input: unknown): string[] {
  const parsed = inputSchema.safeParse(input);
  if (!parsed.success) return [];
  return parsed.data.questions.map(({ question, options = [] }) =>
    [question, options.map(({ label }) => label).join(' · ')].filter((part) => part !== '').join(' '),
  );
}
