/** The OAuth applications there are, and how one proves to be itself. */
import { randomBytes } from 'node:crypto';
import { isSameSecret } from '../../same-secret.ts';
import type { Application } from './model.ts';

/** What a client said about itself: by HTTP Basic, or by `client_id` and `client_secret` in the form. */
export interface ClientClaim {
  clientId: string;
  /** Null: it named only its id, as one that uses PKCE may. */
  clientSecret: string | null;
}

export class Applications {
  readonly #byClientId = new Map<string, Application>();
  readonly #onChange: () => void;

  /** @param onChange called after each change to an application */
  constructor(saved: readonly Application[], onChange: () => void) {
    for (const application of saved) this.#byClientId.set(application.clientId, application);
    this.#onChange = onChange;
  }

  /** Oldest first. */
  all(): Application[] {
    return [...this.#byClientId.values()];
  }

  find(clientId: string): Application | undefined {
    return this.#byClientId.get(clientId);
  }

  /** Adds one, or puts it in the place of that with the same id. */
  put(application: Application): Application {
    this.#byClientId.set(application.clientId, application);
    this.#onChange();
    return application;
  }

  /** Changes one in place. */
  change(application: Application, changes: Partial<Omit<Application, 'clientId'>>): void {
    Object.assign(application, changes);
    this.#onChange();
  }

  /** @returns null when there is no such application, or the secret, if one was given, is wrong */
  identify({ clientId, clientSecret }: ClientClaim): Application | null {
    const application = this.#byClientId.get(clientId);
    if (!application) return null;
    return clientSecret === null || isSameSecret(clientSecret, application.clientSecret) ? application : null;
  }
}

/**
 * @param authorization the HTTP header; Basic comes before the form
 * @returns null when the client did not name itself, or not readably
 */
export function readClaim(authorization: string | undefined, form: URLSearchParams): ClientClaim | null {
  if (authorization?.startsWith('Basic ')) {
    const decoded = Buffer.from(authorization.slice('Basic '.length), 'base64').toString();
    const colon = decoded.indexOf(':');
    if (colon < 0) return null;
    try {
      // RFC 6749, 2.3.1: both are form-encoded before they are joined.
      const [clientId, clientSecret] = [decoded.slice(0, colon), decoded.slice(colon + 1)].map(decodeURIComponent);
      return clientId ? { clientId, clientSecret: clientSecret ?? '' } : null;
    } catch {
      return null;
    }
  }
  const clientId = form.get('client_id');
  return clientId ? { clientId, clientSecret: form.get('client_secret') } : null;
}

export function newClientId(): string {
  return randomBytes(16).toString('hex');
}

export function newClientSecret(): string {
  return randomBytes(16).toString('hex');
}

export function newWebhookSecret(): string {
  return `lin_wh_${randomBytes(20).toString('hex')}`;
}
