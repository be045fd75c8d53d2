/**
 * Only addresses of the web become links; everything else (`javascript:`, `file:`, paths of the repository) stays text.
 * Returns the address, or undefined.
 */
export function webAddress(href: string | null | undefined): string | undefined {
  return href != null && /^https?:\/\//i.test(href) ? href : undefined;
}
