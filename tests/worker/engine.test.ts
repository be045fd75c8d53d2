import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { engineSuite } from '../support/engine/suite.ts';

engineSuite('in a Durable Object', async (test) => {
  const stub = env.WORKSPACE_QUEUE.getByName(crypto.randomUUID());
  await runInDurableObject(stub, (_, { storage }) => test(storage));
});
