/** Why a container did not start, as text for users. Cloudflare tells it by the message alone. */

export interface StartFailure {
  /** What the session waits for, as the page and Linear show it. */
  reason: string;
  /** What a person can do if it lasts. */
  hint: string;
}

const LOOK = "Look at the container's state and log in the Cloudflare dashboard, then comment to try again.";

/** Parts of messages of the platform and of @cloudflare/containers 0.3.7, in lower case, the more telling ones first. */
const KNOWN: readonly { parts: readonly string[]; failure: StartFailure }[] = [
  {
    parts: ['no container instance that can be provided', 'there is no container instance available', 'max_instances'],
    failure: {
      reason: 'Waiting for a free container: all are in use, or Cloudflare is still preparing the first one',
      hint: 'Wait until other sessions are done, or raise max_instances in wrangler.toml and deploy; then comment to try again.',
    },
  },
  {
    parts: ['requesting too many containers per second', 'rate limit'],
    failure: {
      reason: 'Waiting: Cloudflare limits how many containers are started at once',
      hint: 'Comment to try again in a minute.',
    },
  },
  {
    parts: ['no such image', 'image not found', 'pulling image', 'pull image', 'image is not', 'provisioning'],
    failure: {
      reason: 'Waiting for the image of the container: Cloudflare is fetching it',
      hint: 'After a deploy this takes some minutes. If it lasts, deploy again and look at the image in the Cloudflare dashboard; then comment to try again.',
    },
  },
  {
    parts: [
      'exited before we could determine',
      'container crashed',
      'unexpected exit code',
      'signalled the container to exit',
    ],
    failure: {
      reason: 'The container ended while it was starting; trying again',
      hint: `The output of its server says why: a toolchain of your own may have broken the image. ${LOOK}`,
    },
  },
  {
    parts: ['failed to verify port', 'is not listening', 'did not start after', 'no answer within'],
    failure: {
      reason: 'The container is slow to start; still waiting',
      hint: LOOK,
    },
  },
  {
    parts: ['network connection lost', 'durable object reset', 'code was updated', 'internal error', 'overloaded'],
    failure: {
      reason: 'Cloudflare interrupted the start of the container; trying again',
      hint: LOOK,
    },
  },
  {
    parts: ['containers have not been enabled', 'this object has no container'],
    failure: {
      reason: 'Containers are not enabled for this deployment',
      hint: 'Deploy with the [[containers]] of wrangler.toml, on a plan with Cloudflare Containers, or set SANDBOX = "endpoint"; then comment to try again.',
    },
  },
];

/** @param message of the error that the start ended in */
export function explainStartFailure(message: string): StartFailure {
  const lower = message.toLowerCase();
  const known = KNOWN.find(({ parts }) => parts.some((part) => lower.includes(part)));
  return known?.failure ?? { reason: 'The container did not start; trying again', hint: LOOK };
}
