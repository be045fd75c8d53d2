/** Who calls: the app by its JWT, an installation by its token, a person by theirs. */
import { createVerify, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { badCredentials, notFound, refused } from './answers.ts';
import { type GitHubState, type Installation, type Permissions, permissionsSchema } from './state.ts';

/** What a token may do. */
export interface Grant {
  /** Shown as author, e.g. `cyrus-local[bot]`. */
  login: string;
  kind: 'installation' | 'personal';
  repositories: readonly string[];
  permissions: Permissions;
  /** Milliseconds since the epoch; null: never. */
  expiresAt: number | null;
  installationId: number | null;
}

/** What `POST /app/installations/:id/access_tokens` takes. */
const mintSchema = z.object({
  repositories: z.array(z.string()).max(500).optional(),
  permissions: permissionsSchema.optional(),
});

const headerSchema = z.object({ alg: z.string() });
const claimsSchema = z.object({ iat: z.number(), exp: z.number(), iss: z.union([z.string(), z.number()]) });

const TOKEN_LIFE_MS = 3_600_000;
/** A JWT may end this much later than now, in seconds. */
const MAX_JWT_LIFE_S = 600;

export class Tokens {
  readonly #state: GitHubState;
  readonly #now: () => number;
  readonly #minted = new Map<string, Grant>();

  constructor(state: GitHubState, now: () => number) {
    this.#state = state;
    this.#now = now;
  }

  /** Installation tokens given out so far that are still good. */
  get minted(): readonly string[] {
    return [...this.#minted].filter(([, grant]) => this.#isGood(grant)).map(([token]) => token);
  }

  /** Ends tokens at once: all of the installations, or one. */
  revoke(token?: string): void {
    if (token === undefined) this.#minted.clear();
    else this.#minted.delete(token);
  }

  /** Repositories have other names now. */
  rename(follow: (fullName: string) => string): void {
    for (const [token, grant] of this.#minted)
      this.#minted.set(token, { ...grant, repositories: grant.repositories.map(follow) });
  }

  /** Checks the app's JWT. @throws Refused as GitHub does */
  checkApp(authorization: string | undefined): void {
    const jwt = tokenOf(authorization);
    if (jwt === null) throw refused(401, 'A JSON web token could not be decoded');
    const [header = '', claims = '', signature = ''] = jwt.split('.');
    const read = (part: string): unknown => {
      try {
        return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
      } catch {
        return null;
      }
    };
    const head = headerSchema.safeParse(read(header));
    const body = claimsSchema.safeParse(read(claims));
    if (!head.success || head.data.alg !== 'RS256' || !body.success) {
      throw refused(401, 'A JSON web token could not be decoded');
    }
    const { id, clientId } = this.#state.app;
    if (![String(id), clientId].includes(String(body.data.iss))) throw refused(404, 'Integration not found');
    const verified = createVerify('RSA-SHA256')
      .update(`${header}.${claims}`)
      .verify(this.#state.app.publicKey, Buffer.from(signature, 'base64url'));
    if (!verified) throw refused(401, 'A JSON web token could not be decoded');
    const now = this.#now() / 1000;
    const { iat, exp } = body.data;
    if (exp < now)
      throw refused(
        401,
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
      );
    if (exp > now + MAX_JWT_LIFE_S) throw refused(401, "'Expiration time' claim ('exp') is too far in the future");
    if (iat > now + 5)
      throw refused(
        401,
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
      );
  }

  /** The installation that has this repository. @throws Refused 404 */
  installationOf(repository: string): Installation {
    const found = this.#state.installations.find((one) => isAmong(one.repositories, repository));
    if (!found) throw notFound();
    return found;
  }

  /** Mints an installation token. @throws Refused */
  mint(id: number, input: unknown): { token: string; grant: Grant } {
    const installation = this.#state.installations.find((one) => one.id === id);
    if (!installation) throw notFound();
    if (installation.suspended) throw refused(403, 'This installation has been suspended');
    const parsed = mintSchema.safeParse(input ?? {});
    if (!parsed.success) throw refused(422, 'Invalid request.\n\n'.concat(z.prettifyError(parsed.error)));
    const { repositories, permissions = installation.permissions } = parsed.data;
    const wanted = repositories?.map((name) => `${installation.account}/${name}`) ?? installation.repositories;
    if (!wanted.every((name) => isAmong(installation.repositories, name))) {
      throw refused(
        422,
        'There is at least one repository that does not exist or is not accessible to the parent installation.',
      );
    }
    if (!covers(installation.permissions, permissions)) {
      throw refused(422, 'The permissions requested are not granted to this installation.');
    }
    const token = newToken(this.#state.app.id);
    const grant: Grant = {
      login: `${this.#state.app.slug}[bot]`,
      kind: 'installation',
      repositories: wanted,
      permissions: { metadata: 'read', ...permissions },
      expiresAt: this.#now() + TOKEN_LIFE_MS,
      installationId: id,
    };
    this.#minted.set(token, grant);
    return { token, grant };
  }

  /** What a token may do. @throws Refused 401 */
  grantOf(authorization: string | undefined): Grant {
    const token = tokenOf(authorization);
    const grant = token === null ? null : this.grant(token);
    if (!grant) throw badCredentials();
    return grant;
  }

  /** What a token may do; null for one that is unknown, revoked or has ended. */
  grant(token: string): Grant | null {
    const minted = this.#minted.get(token);
    if (minted) {
      const installation = this.#state.installations.find(({ id }) => id === minted.installationId);
      return this.#isGood(minted) && installation && !installation.suspended ? minted : null;
    }
    const personal = this.#state.personalTokens.find((one) => one.token === token);
    if (!personal) return null;
    const { login, repositories, permissions, expiresAt } = personal;
    const grant: Grant = { login, kind: 'personal', repositories, permissions, expiresAt, installationId: null };
    return this.#isGood(grant) ? grant : null;
  }

  #isGood({ expiresAt }: Grant): boolean {
    return expiresAt === null || expiresAt > this.#now();
  }
}

/**
 * A token as GitHub has minted them since 2026: the app's id and a JWT behind `ghs_`, about 520 characters. Nobody but GitHub reads what is in
 * it, so nothing is.
 */
function newToken(appId: number): string {
  const part = (bytes: number) => randomBytes(bytes).toString('base64url');
  const header = Buffer.from(JSON.stringify({ typ: 'JWT', alg: 'ES256' })).toString('base64url');
  return `ghs_${appId}_${header}.${part(285)}.${part(64)}`;
}

/** Whether a grant reaches a repository; names are compared without case. */
export function isAmong(repositories: readonly string[], fullName: string): boolean {
  return repositories.some((name) => name.toLowerCase() === fullName.toLowerCase());
}

/** Whether `granted` holds at least what is wanted. */
function covers(granted: Permissions, wanted: Permissions): boolean {
  return Object.entries(wanted).every(([name, level]) => mayDo(granted, name as keyof Permissions, level));
}

/** Whether these permissions allow something. Every token may read metadata. */
export function mayDo(granted: Permissions, what: keyof Permissions, level: 'read' | 'write'): boolean {
  const has = granted[what] ?? (what === 'metadata' ? 'read' : undefined);
  return has === 'write' || (has === 'read' && level === 'read');
}

/** The token of an Authorization header: both schemes that GitHub takes. */
function tokenOf(authorization: string | undefined): string | null {
  return /^(?:bearer|token) +(\S+)$/i.exec(authorization ?? '')?.[1] ?? null;
}
