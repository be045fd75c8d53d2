/**
 * Guidance: rules that people of a workspace make for agents, for the whole workspace or for a team (pure). Linear sends
 * those that hold for a session with its `created` webhook, in no stated order; the nearest wins
 * (docs: linear.app/developers/agents, `GuidanceRuleWebhookPayload` of @linear/sdk 98).
 */
import * as z from 'zod';

const teamSchema = z.object({
  id: z.string().min(1),
  key: z.string().nullish(),
  name: z.string().nullish(),
  displayName: z.string().nullish(),
  parentId: z.string().nullish(),
});
type Team = z.infer<typeof teamSchema>;

const originSchema = z.object({ type: z.string().catch(''), team: teamSchema.nullish().catch(null) });

const ruleSchema = z.object({
  body: z.string(),
  // Kinds of origin that are not known yet are ranked, never refused.
  origin: originSchema.catch({ type: '', team: null }).default({ type: '', team: null }),
});
type Rule = z.infer<typeof ruleSchema>;

/** The webhook's `guidance`. What is no rule in it is left out: no request is lost because of a rule of a new shape. */
export const guidanceSchema = z
  .array(z.unknown())
  .nullish()
  .catch(null)
  .transform((rules) => (rules ?? []).flatMap((rule) => ruleSchema.safeParse(rule).data ?? []));

/** A rule and who made it, in words: `the team Web`. */
export interface Guidance {
  from: string;
  body: string;
}

/**
 * Ranks rules, nearest first: the issue's own team, its parents from below, teams that are not known further, origins of
 * an unknown kind, the workspace. Rules of one origin keep their order.
 * @param teamId of the issue; null: not known, and the team with the most parents counts as nearest
 */
export function rankGuidance(rules: Rule[], teamId: string | null): Guidance[] {
  const teams = new Map<string, Team>();
  for (const { origin } of rules) if (origin.team) teams.set(origin.team.id, origin.team);
  const said = rules.filter((rule) => rule.body.trim() !== '');
  const ranked = said.map((rule) => ({ rule, distance: distanceOf(rule, teamId, teams) }));
  return ranked
    .toSorted((a, b) => a.distance - b.distance)
    .map(({ rule, distance }) => ({ from: describe(rule, distance === 0), body: rule.body.trim() }));
}

/** Longer than any chain of teams; one that runs in a circle ends here. */
const MOST_PARENTS = 100;
const UNKNOWN_TEAM = 2 * MOST_PARENTS;
const UNKNOWN_ORIGIN = UNKNOWN_TEAM + 1;
const WORKSPACE = UNKNOWN_TEAM + 2;

/** 0 for the issue's own team, more for what is farther away. */
function distanceOf({ origin }: Rule, teamId: string | null, teams: Map<string, Team>): number {
  if (origin.team) return origin.team.id === teamId ? 0 : MOST_PARENTS - parentsOf(origin.team, teams);
  if (/^team$/i.test(origin.type)) return UNKNOWN_TEAM;
  return /^(organization|workspace)$/i.test(origin.type) ? WORKSPACE : UNKNOWN_ORIGIN;
}

/** How many teams stand above one, as far as they are known: all rules are of one chain, so the deeper is the nearer. */
function parentsOf(team: Team, teams: Map<string, Team>): number {
  let count = 0;
  for (let above: Team | undefined = team; above?.parentId && count < MOST_PARENTS - 1; count += 1) {
    above = teams.get(above.parentId);
  }
  return count;
}

function describe({ origin }: Rule, isOwn: boolean): string {
  const { team, type } = origin;
  if (team) {
    const name = team.displayName || team.name || team.key || team.id;
    return isOwn ? `the issue's team ${name}` : `the team ${name}`;
  }
  if (/^team$/i.test(type)) return 'a team';
  return /^(organization|workspace)$/i.test(type) ? 'the workspace' : 'elsewhere in the workspace';
}
