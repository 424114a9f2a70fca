const TITLE = /<title>([^<]{1,200})<\/title>/;
const seen = new Map();

/** How often a page of this title was put before. */
export function duplicateOf(html) {
  const title = TITLE.exec(html)?.[1];
  if (title === undefined) return null;
  const count = seen.get(title) ?? 0;
  seen.set(title, count + 1);
  return count > 0;
}

export const knownTitles = () => seen.size;
