/** How people sign in to the pages, as variables of the Worker say it (pure). */
import * as z from 'zod';

/**
 * - `password`: one person, who has ACCESS_PASSWORD
 * - `linear`: people of the workspaces that installed Cyrus, each as themselves
 * - `access`: Cloudflare Access in front of the hostname says who it is
 */
export type SignIn =
  | { kind: 'password' }
  | { kind: 'linear' }
  | {
      kind: 'access' /** Origin of the team's domain. */;
      team: string /** Tag of the Access application. */;
      audience: string;
    };

/** Variables about signing in; none has to be set. */
export const signInVariables = {
  SIGN_IN: z
    .enum(['password', 'linear', 'access'], { error: 'must be "linear", "access" or "password"' })
    .default('password'),
  ACCESS_TEAM_DOMAIN: z
    .string()
    .trim()
    .toLowerCase()
    .regex(/^$|^(https:\/\/)?[a-z0-9-]+\.cloudflareaccess\.com\/?$/, {
      error: 'must be the team domain of Cloudflare Access, as in acme.cloudflareaccess.com',
    })
    .default(''),
  ACCESS_AUDIENCE: z.string().trim().default(''),
  /** Who sees and may do everything: Linear ids of people; with Cloudflare Access emails. */
  OWNERS: z
    .string()
    .default('')
    .transform((value) =>
      value
        .split(/[\s,]+/)
        .filter((one) => one !== '')
        .map((one) => one.toLowerCase()),
    ),
};

type Variables = z.infer<z.ZodObject<typeof signInVariables>>;

/** @param problems is given what is wrong, in words @returns null if something is */
export function readSignIn(variables: Variables, problems: string[]): SignIn | null {
  const { SIGN_IN: kind, ACCESS_TEAM_DOMAIN: team, ACCESS_AUDIENCE: audience } = variables;
  if (kind !== 'access') return { kind };
  if (team === '') {
    problems.push('SIGN_IN is "access" but ACCESS_TEAM_DOMAIN is not set: set it to your-team.cloudflareaccess.com');
  }
  if (audience === '') {
    problems.push(
      'SIGN_IN is "access" but ACCESS_AUDIENCE is not set: set it to the “Application Audience (AUD) Tag” of the Access application',
    );
  }
  if (team === '' || audience === '') return null;
  const host = team.replace(/^https:\/\//, '').replace(/\/$/, '');
  return { kind, team: `https://${host}`, audience };
}
