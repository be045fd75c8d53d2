/** The Linear workspace: one Durable Object for each. */
import { DurableObject } from 'cloudflare:workers';

export class LinearWorkspace extends DurableObject<Env> {}
