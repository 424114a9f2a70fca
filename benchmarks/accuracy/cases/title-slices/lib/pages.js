export function outlineOf(html) {
  const headings = [...html.matchAll(/<h([1-6])>([^<]*)<\/h\1>/g)];
  return headings.map(([, level, text]) => ({
    level: Number(level),
    text,
    id: text.toLowerCase().replaceAll(" ", "-"),
  }));
}

export function linksOf(html) {
  const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, href]) => new URL(href, "https://example.org/"));
  return links.map(({ hostname, pathname }) => ({ hostname, pathname }));
}

export function wordCounts(text) {
  const counts = new Map();
  for (const word of text.split(/\s+/)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 20);
}
