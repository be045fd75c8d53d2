/** The Worker (in the making). */
import { DurableObject } from 'cloudflare:workers';

export class IssueSession extends DurableObject {}
export class SandboxContainer extends DurableObject {}

export default {
  fetch(): Response {
    return new Response('Cyrus', { status: 503 });
  },
} satisfies ExportedHandler;
