/**
 * Runs on the service's main thread. Owns whether V8 may be asked to tell of its heap limit: V8 tells only who asked last,
 * so we ask first or not at all (docs/decisions/0008). Pure but for the names of files.
 */
import { realpathSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** With these Node or a debugger asks V8 before any preload, or may do so by a file of options that we do not read. */
const OTHERS_ASK = /^--(heapsnapshot-near-heap-limit|inspect|(experimental-)?(default-)?config-file)/;
const PRELOAD = /^(-r|--require|--import|--loader|--experimental-loader)(?:=(.*))?$/;
const PACKAGE = "leak-agent";

/**
 * @param args what Node was started with, NODE_OPTIONS first; null: not known.
 * @returns whether the agent is the first thing that this process runs.
 */
export function isFirstPreload(args: readonly string[] | null): boolean {
  if (args === null || args.some((arg) => OTHERS_ASK.test(arg.replaceAll("_", "-")))) return false;
  const [first] = preloads(args);
  return first !== undefined && isOurs(first);
}

/** In the order in which Node runs them: what is required comes before what is imported. */
function preloads(args: readonly string[]): string[] {
  const required: string[] = [];
  const imported: string[] = [];
  args.forEach((arg, index) => {
    const [, option, value] = PRELOAD.exec(arg) ?? [];
    if (option === undefined) return;
    const isRequired = option === "-r" || option === "--require";
    (isRequired ? required : imported).push(value ?? args[index + 1] ?? "");
  });
  return [...required, ...imported];
}

function isOurs(specifier: string): boolean {
  if (specifier === "") return false;
  if (specifier === PACKAGE || specifier.startsWith(`${PACKAGE}/`)) return true;
  try {
    const path = specifier.startsWith("file:") ? fileURLToPath(specifier) : resolve(specifier);
    return `${realpathSync(path)}${sep}`.startsWith(`${realpathSync(join(__dirname, "..", ".."))}${sep}`);
  } catch {
    return false; // A package of another name, or a path without its extension.
  }
}
