/**
 * `npm run reencrypt`: the second half of a rotation of ENCRYPTION_KEY. Asks a deployment to encrypt everything again with its
 * present key; it reads with the one before as long as that is stored as ENCRYPTION_KEY_OLD. Safe to repeat.
 */
import { z } from 'zod';

const answerSchema = z.object({ moved: z.number(), unreadable: z.array(z.string()) });

const { CYRUS_URL: url, ADMIN_TOKEN: token } = process.env;
if (!url || !token) {
  console.error(
    'cyrus: say which deployment, and prove who you are: CYRUS_URL=https://… ADMIN_TOKEN=… npm run reencrypt',
  );
  process.exit(1);
}
const response = await fetch(new URL('/api/admin/reencrypt', url), {
  method: 'POST',
  headers: { authorization: `Bearer ${token}` },
});
const text = await response.text();
if (!response.ok) {
  console.error(`cyrus: ${url} answered ${response.status}: ${text}`);
  process.exit(1);
}
const { moved, unreadable } = answerSchema.parse(JSON.parse(text));
console.log(`${moved} values are encrypted with the present key now.`);
for (const what of unreadable) console.error(`cyrus: neither key reads the ${what}; store it again.`);
console.log(
  unreadable.length === 0
    ? `The key before is needed no more, once the sandboxes that run now are done (a day at most). Then:
- with ENCRYPTION_KEY_NEXT: store its value as ENCRYPTION_KEY, then npx wrangler secret delete ENCRYPTION_KEY_NEXT
- with ENCRYPTION_KEY_OLD: npx wrangler secret delete ENCRYPTION_KEY_OLD`
    : 'Leave the secrets as they are until that is done.',
);
process.exit(unreadable.length === 0 ? 0 : 1);
