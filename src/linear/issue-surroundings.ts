/** The answer to what is around an issue, as Linear's API gives it (pure). */
import * as z from 'zod';

/** An issue as another one sees it. */
export interface RelatedIssue {
  identifier: string;
  title: string;
  url: string;
  /** Name of its workflow state, e.g. "In Progress". */
  state: string;
  description: string | null;
}

/** The issues around an issue, by how they are to it; newest relations first, as Linear lists them. */
export interface IssueSurroundings {
  parent: RelatedIssue | null;
  blockedBy: RelatedIssue[];
  blocks: RelatedIssue[];
  duplicateOf: RelatedIssue[];
  related: RelatedIssue[];
  subIssues: RelatedIssue[];
}

const issueSchema = z
  .object({
    identifier: z.string(),
    title: z.string(),
    url: z.string(),
    description: z.string().nullish(),
    state: z.object({ name: z.string() }),
  })
  .transform(({ state, description, ...issue }): RelatedIssue => {
    return { ...issue, state: state.name, description: description ?? null };
  });

export const issueSurroundingsSchema = z.object({
  issue: z.object({
    parent: issueSchema.nullish(),
    children: z.object({ nodes: z.array(issueSchema) }),
    relations: z.object({ nodes: z.array(z.object({ type: z.string(), relatedIssue: issueSchema })) }),
    inverseRelations: z.object({ nodes: z.array(z.object({ type: z.string(), issue: issueSchema })) }),
  }),
});

/**
 * Sorts relations by what they mean to the issue. Linear keeps one from the issue that blocks, or is the duplicate; a kind that is
 * not known yet counts as related.
 */
export function surroundingsOf({ issue }: z.infer<typeof issueSurroundingsSchema>): IssueSurroundings {
  const to = (wanted: (type: string) => boolean) =>
    issue.relations.nodes.filter(({ type }) => wanted(type)).map(({ relatedIssue }) => relatedIssue);
  const from = (wanted: (type: string) => boolean) =>
    issue.inverseRelations.nodes.filter(({ type }) => wanted(type)).map(({ issue: other }) => other);
  const is = (type: string) => (given: string) => given === type;
  const isOther = (type: string) => !['blocks', 'duplicate'].includes(type);
  return {
    parent: issue.parent ?? null,
    blockedBy: from(is('blocks')),
    blocks: to(is('blocks')),
    duplicateOf: to(is('duplicate')),
    related: [...to(isOther), ...from(isOther), ...from(is('duplicate'))],
    subIssues: issue.children.nodes,
  };
}
