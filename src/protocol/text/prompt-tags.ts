/** The tags that mark what is whose in a prompt (`<cyrus-request>`, `<cyrus-repository-prompt>`): content cannot forge them. Pure. */

/** Spaces are looked through, because a reader might. A slash has its spaces with it, so that each is looked at once. */
const TAG = /<(?=\s*(?:\/\s*)?cyrus-)/gi;
const ESCAPED_TAG = /&lt;(?=\s*(?:\/\s*)?cyrus-)/gi;

/** Content that can neither open nor close one of these tags. */
export function escapeTags(content: string): string {
  return content.replace(TAG, '&lt;');
}

/** What was given to `escapeTags`, as people read it. */
export function unescapeTags(content: string): string {
  return content.replace(ESCAPED_TAG, '<');
}
