const WORDS = "every evening the lamps along the quay were lit by hand before the ferry came in".split(" ");
const measured = new Map();

function textOf(document) {
  return Array.from({ length: 160 }, (_, i) => WORDS[(i * 5 + document.length) % WORDS.length]);
}

function measure(document) {
  let lines = measured.get(document);
  if (lines === undefined) {
    lines = [];
    let line = { words: [], width: 0 };
    for (const word of textOf(document)) {
      if (line.width + word.length > 60) {
        lines.push({ first: line.words[0], count: line.words.length, width: line.width });
        line = { words: [], width: 0 };
      }
      line.words.push(word);
      line.width += word.length + 1;
    }
    measured.set(document, lines);
  }
  return lines;
}

export function paginate(document) {
  const lines = measure(document);
  return { document, pages: Math.ceil(lines.length / 8), widest: Math.max(...lines.map((line) => line.width)) };
}

export function hyphenate(document) {
  return textOf(document)
    .map((word) => (word.length > 4 ? `${word.slice(0, 3)}-${word.slice(3)}` : word))
    .join(" ");
}

export function metrics(font) {
  const table = Array.from({ length: 128 }, (_, i) => ({ code: i, advance: (font.length * 13 + i * 7) % 12 }));
  return table.sort((a, b) => b.advance - a.advance).slice(0, 16);
}
