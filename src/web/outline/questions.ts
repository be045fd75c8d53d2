/** What Claude asks people by its tool AskUserQuestion, from the call's input, whatever shape that has. Pure. */
import * as z from 'zod';

const inputSchema = z.object({
  questions: z.array(
    z.object({
      question: z.string(),
      options: z
        .array(z.object({ label: z.string(), description: z.string().optional().catch(undefined) }))
        .optional()
        .catch(undefined),
    }),
  ),
});

/** One line a question, with its options: "Which colour? Red · Blue". Empty where the input tells nothing. */
export function questionLines(input: unknown): string[] {
  const parsed = inputSchema.safeParse(input);
  if (!parsed.success) return [];
  return parsed.data.questions.map(({ question, options = [] }) =>
    [question, options.map(({ label }) => label).join(' · ')].filter((part) => part !== '').join(' '),
  );
}

/** The questions with each option and what it means, a line each; empty if the input tells nothing, or no option means more than it says. */
export function questionDetails(input: unknown): string {
  const parsed = inputSchema.safeParse(input);
  if (!parsed.success) return '';
  const { questions } = parsed.data;
  if (!questions.some(({ options = [] }) => options.some(({ description }) => description))) return '';
  return questions
    .map(({ question, options = [] }) => {
      const lines = options.map(({ label, description }) => `- ${label}${description ? `: ${description}` : ''}`);
      return [question, ...lines].join('\n');
    })
    .join('\n\n');
}
