/** Bodies of the API about share links: an address by which anyone may look at one session until a date. Times in ms since the epoch. */
import * as z from 'zod';

const time = z.number().int().nonnegative();

/** By this header a page says the secret of the link that it was opened with. */
export const SHARE_HEADER = 'x-cyrus-share';
/** Most days for which a link is good. */
export const MOST_SHARE_DAYS = 90;
/** Most links of one session that are good at the same time. */
export const MOST_SHARE_LINKS = 20;

/** `POST /api/sessions/:id/share-links`. */
export const shareInputSchema = z.strictObject({ days: z.number().int().min(1).max(MOST_SHARE_DAYS) });

const shareLinkSchema = z.object({
  id: z.string(),
  /** Who made it; null: this deployment has no names. */
  by: z.string().nullable(),
  createdAt: time,
  expiresAt: time,
});
export type ShareLink = z.infer<typeof shareLinkSchema>;

/** `GET /api/sessions/:id/share-links`, the newest first. */
export const shareLinksSchema = z.object({ links: z.array(shareLinkSchema) });
export type ShareLinks = z.infer<typeof shareLinksSchema>;

/** Answer to the POST. `secret` is shown this once: the address is `/shared/:id#secret`. */
export const newShareLinkSchema = z.object({ ...shareLinkSchema.shape, secret: z.string() });
export type NewShareLink = z.infer<typeof newShareLinkSchema>;
