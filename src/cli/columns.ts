/**
 * Runs in the CLI process. Owns how text is laid out: wrapped paragraphs and aligned tables that fit a page.
 * Must not know what the columns mean.
 */

/** Everything printed for people fits this many columns, whatever the terminal. */
export const PAGE_COLUMNS = 100;

const ELLIPSIS = "...";

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  /** The one column that gives way when the table is too wide: its cells are cut in front (`...`), so a file's end stays. */
  readonly shrinks?: boolean;
}

/** Lays out rows under their titles; empty when there are no rows. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], indent = 2): string[] {
  if (rows.length === 0) return [];
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map((row) => (row[index] ?? "").length)),
  );
  shrink(columns, widths, PAGE_COLUMNS - indent);
  const titles = columns.map((column) => column.title);
  return [titles, ...rows].map((row) => " ".repeat(indent) + layOut(columns, widths, row));
}

function shrink(columns: readonly Column[], widths: number[], availableColumns: number): void {
  const total = widths.reduce((sum, width) => sum + width, 0) + 2 * (widths.length - 1);
  const index = columns.findIndex((column) => column.shrinks === true);
  const width = widths[index];
  if (total <= availableColumns || width === undefined) return;
  widths[index] = Math.max(12, width - (total - availableColumns));
}

function layOut(columns: readonly Column[], widths: readonly number[], row: readonly string[]): string {
  const cells = columns.map((column, index) => {
    const width = widths[index] ?? 0;
    const cell = cutFront(row[index] ?? "", width);
    return column.align === "left" ? cell.padEnd(width) : cell.padStart(width);
  });
  return cells.join("  ").trimEnd();
}

/** Keeps the end of a text: of a file's path that is the part people know it by. */
export function cutFront(text: string, width: number): string {
  return text.length <= width ? text : ELLIPSIS + text.slice(text.length - width + ELLIPSIS.length);
}

/** Breaks a paragraph at blanks; a word longer than the page stands alone on its line, uncut, so that it can be copied. */
export function wrap(text: string, indent = 2, hanging: number = indent): string[] {
  const lines: string[] = [];
  let line = " ".repeat(indent);
  let empty = true;
  for (const word of text.split(/\s+/).filter((candidate) => candidate !== "")) {
    if (!empty && line.length + 1 + word.length > PAGE_COLUMNS) {
      lines.push(line);
      line = " ".repeat(hanging);
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  if (!empty) lines.push(line);
  return lines;
}

/** Label and value pairs, the values aligned and wrapped. */
export function facts(pairs: readonly (readonly [string, string])[], indent = 2): string[] {
  const width = Math.max(0, ...pairs.map(([label]) => label.length));
  return pairs.flatMap(([label, value]) => {
    const hanging = indent + width + 2;
    const [first = "", ...rest] = wrap(value, hanging);
    return [" ".repeat(indent) + label.padEnd(width) + first.slice(indent + width), ...rest];
  });
}
