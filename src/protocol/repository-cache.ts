/**
 * What is kept of a repository so that its sandboxes start faster, at the gateway's `/cache`: its base branches as bundles
 * of git (`base-…`), and what its setup script made (`setup-…`). An entry is replaced as a whole: its parts are stored under
 * a new version, then its manifest makes them count.
 */
import * as z from 'zod';

/** Largest part of an entry, in bytes: small enough to be sent again, and for every plan's limit of a request. */
export const MAX_CACHE_PART_BYTES = 32 * 1024 * 1024;
/** 2 GiB. */
export const MAX_CACHE_PARTS = 64;
/** Largest entry that a setup script makes. */
export const MAX_SETUP_CACHE_BYTES = 500_000_000;

/** `base-` with the SHA-256 of the branch's name; `setup-` with that of everything the result depends on. */
export const cacheEntrySchema = z.string().regex(/^(base|setup)-[0-9a-f]{64}$/);
/** Chosen at random by the code that stores it. */
export const cacheVersionSchema = z.string().regex(/^[0-9a-f]{32}$/);

const count = z.number().int().nonnegative();

/** What `PUT {gateway}/cache/:entry` takes, once all parts are stored. */
export const cacheManifestSchema = z.object({
  version: cacheVersionSchema,
  /** Commit that the bundle leads to, or that the setup script ran at. */
  commit: z.string().regex(/^[0-9a-f]{40,64}$/),
  /** Of the whole, its parts joined in order; every part but the last has MAX_CACHE_PART_BYTES. */
  bytes: count.positive().max(MAX_CACHE_PARTS * MAX_CACHE_PART_BYTES),
  parts: count.positive().max(MAX_CACHE_PARTS),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type CacheManifest = z.infer<typeof cacheManifestSchema>;

/** What `GET {gateway}/cache/:entry` answers; `at`: when it was published, in ms since the epoch. */
export const keptCacheSchema = cacheManifestSchema.extend({ at: count });
export type KeptCache = z.infer<typeof keptCacheSchema>;
