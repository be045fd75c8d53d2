/** Container images that nothing uses any more are deleted after a deploy: an account holds 50 GB of them. */
import * as z from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import type { Configuration } from './configuration.ts';
import type { Host } from './wrangler.ts';

/** Versions whose images stay, the newest ones: a rollback needs them. */
const KEEP = 3;

const imagesSchema = z.array(z.looseObject({ name: z.string(), tags: z.array(z.string()) }));
const versionsSchema = z.array(z.looseObject({ id: z.string(), metadata: z.looseObject({ created_on: z.string() }) }));

/**
 * Deletes the images of this Worker that neither run nor belong to one of its newest versions. What cannot be told is kept, and nothing
 * that fails here fails a deploy.
 * Wrangler names images `<worker>-<class>:<beginning of the version's id>`.
 */
export function pruneImages(host: Host, { name: worker, containers }: Configuration): void {
  const images = imagesSchema.safeParse(
    parseJson(host.read('wrangler', ['containers', 'images', 'list', '--json']).out),
  );
  const listed = host.read('wrangler', ['versions', 'list', '--name', worker, '--json']);
  const versions = versionsSchema.safeParse(parseJson(listed.out));
  const running = host.read('wrangler', ['containers', 'list', '--json']);
  if (!images.success || !versions.success || !running.ok) {
    host.tell('\nOld container images were left alone: Cloudflare did not say which there are.');
    return;
  }
  // Another deployment's name may begin with this one's.
  const names = containers.map((container) => `${worker}-${container}`.toLowerCase());
  const own = images.data.filter(({ name }) => names.includes(nameOf(name)));
  const unused = unusedImages(own, versions.data, running.out);
  let deleted = 0;
  for (const image of unused) {
    if (host.read('wrangler', ['containers', 'images', 'delete', image, '--skip-confirmation']).ok) deleted += 1;
  }
  if (deleted > 0)
    host.tell(`\n${deleted} old container images were deleted; those of the last ${KEEP} versions stay.`);
}

function unusedImages(
  images: z.infer<typeof imagesSchema>,
  versions: z.infer<typeof versionsSchema>,
  running: string,
): string[] {
  const sorted = versions.toSorted((a, b) => b.metadata.created_on.localeCompare(a.metadata.created_on));
  const kept = new Set(sorted.slice(0, KEEP).map(({ id }) => id.split('-')[0]));
  return images.flatMap(({ name, tags }) => {
    // Where the list of what runs does not show images by tag, nothing can be said of them.
    if (!tags.some((tag) => running.includes(`${nameOf(name)}:${tag}`))) return [];
    return tags
      .filter((tag) => !kept.has(tag) && !running.includes(`${nameOf(name)}:${tag}`))
      .map((tag) => `${nameOf(name)}:${tag}`);
  });
}

/** Without the registry and the account before it. */
function nameOf(image: string): string {
  return image.split('/').at(-1) ?? image;
}
