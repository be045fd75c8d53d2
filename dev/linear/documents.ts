/** Documents, in which people may talk to the agent without there being an issue. */
import { randomUUID } from 'node:crypto';
import { addComment, type Place, startSession, withMention } from './conversation.ts';
import { RefusedError } from './refused.ts';
import { emit, type Simulation } from './simulation.ts';
import type { AgentSession, Document } from './state/model.ts';

export interface NewDocument {
  title: string;
  /** Markdown. */
  content?: string;
}

export class Documents {
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** @throws RefusedError 400 when the title is empty */
  create({ title, content = '' }: NewDocument): Document {
    const { world, clock } = this.#simulation;
    if (title.trim() === '') throw new RefusedError(400, 'a document needs a title');
    const document = { id: randomUUID(), title, content, createdAt: clock.now() };
    world.documents.set(document.id, document);
    world.changed(document.id);
    return document;
  }

  /** @throws RefusedError 404 */
  find(documentId: string): Document {
    const document = this.#simulation.world.documents.get(documentId);
    if (!document) throw new RefusedError(404, `there is no document ${documentId}`);
    return document;
  }

  /** Mentions the agent in a comment on a document, which opens a session that has no issue. */
  mention(documentId: string, body: string): AgentSession {
    const { world, payloads } = this.#simulation;
    const document = this.find(documentId);
    const place: Place = { issueId: null, documentId: document.id };
    const source = addComment(this.#simulation, place, withMention(this.#simulation, body), null);
    const session = startSession(this.#simulation, place, { creatorId: world.person.id, source });
    emit(this.#simulation, payloads.documentNotification('documentCommentMention', document, world.person, source));
    return session;
  }
}
