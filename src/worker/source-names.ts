/**
 * Runs on the agent's worker thread. Owns how a frame is named to people: package, path relative to the service, original
 * position. Reads the disk only for functions that are about to be named, and frames in a finding.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { DescribedFrame } from "../detector/finding-record";
import type { SourcePosition } from "../model/finding";
import type { Frame } from "../model/observation";
import { SourceMaps } from "./source-maps";

const MAX_CACHED_FRAMES = 1_000;
const MAX_CACHED_PACKAGES = 500;
const NODE_MODULES = `${sep}node_modules${sep}`;
const AGENT_CODE = join(__dirname, "..") + sep;

export class SourceNames {
  readonly maps: SourceMaps = new SourceMaps();
  private readonly described = new Map<string, DescribedFrame>();
  private readonly packages = new Map<string, string>();

  /** @param applicationRoot the folder that paths are told relative to. */
  constructor(private readonly applicationRoot: string) {}

  describe(frame: Frame): DescribedFrame {
    const key = `${frame.file}\n${frame.line}\n${frame.column}`;
    const known = this.described.get(key);
    if (known !== undefined) return known;
    const described = this.look(frame);
    if (this.described.size >= MAX_CACHED_FRAMES) this.described.clear();
    this.described.set(key, described);
    return described;
  }

  private look(frame: Frame): DescribedFrame {
    const { file } = frame;
    // Builtins have no file; `node:` and the names of evaluated code are no paths.
    if (!isAbsolute(file)) return { file, package: "node", original: null, isApplication: false };
    const original = this.maps.originalPosition(file, frame.line, frame.column);
    // In a bundle, only the source map knows what is the service's own and what a package's.
    const folder = packageFolder(file) ?? packageFolder(resolve(this.applicationRoot, original?.file ?? ""));
    const isAgent = file.startsWith(AGENT_CODE);
    const packageName = isAgent
      ? this.packageName(resolve(AGENT_CODE, ".."))
      : folder === null
        ? "app"
        : this.packageName(folder);
    return {
      file: this.shortPath(file),
      package: packageName,
      original: this.shorten(original),
      isApplication: packageName === "app",
    };
  }

  /** `name@version` from the package's own manifest, else from its folder's name. */
  private packageName(folder: string): string {
    const known = this.packages.get(folder);
    if (known !== undefined) return known;
    const at = folder.lastIndexOf(NODE_MODULES);
    const folderName = at < 0 ? "leak-agent" : folder.slice(at + NODE_MODULES.length).replaceAll(sep, "/");
    const name = nameInManifest(join(folder, "package.json"), folderName);
    if (this.packages.size >= MAX_CACHED_PACKAGES) this.packages.clear();
    this.packages.set(folder, name);
    return name;
  }

  private shorten(position: SourcePosition | null): SourcePosition | null {
    return position === null ? null : { ...position, file: this.shortPath(position.file) };
  }

  private shortPath(file: string): string {
    if (!isAbsolute(file)) return file;
    const at = file.lastIndexOf(NODE_MODULES);
    const short = at < 0 ? relative(this.applicationRoot, file) : file.slice(at + 1);
    return short.replaceAll(sep, "/");
  }
}

/** The folder of the nearest package.json above the main script, else the script's own, else the working directory. */
export function findApplicationRoot(mainScript: string | null, workingDirectory: string): string {
  const start = mainScript === null ? workingDirectory : dirname(resolve(workingDirectory, mainScript));
  let folder = start;
  for (let depth = 0; depth < 16; depth++) {
    if (existsSync(join(folder, "package.json"))) return folder;
    const parent = dirname(folder);
    if (parent === folder) break;
    folder = parent;
  }
  return start;
}

/** The folder of the npm package a file belongs to, or null for code that is not under node_modules. */
function packageFolder(file: string): string | null {
  const at = file.lastIndexOf(NODE_MODULES);
  if (at < 0) return null;
  const start = at + NODE_MODULES.length;
  const parts = file.slice(start).split(sep);
  const name = parts[0]?.startsWith("@") === true ? parts.slice(0, 2) : parts.slice(0, 1);
  return file.slice(0, start) + name.join(sep);
}

function nameInManifest(file: string, fallback: string): string {
  try {
    const manifest = JSON.parse(readFileSync(file, "utf8")) as { name?: unknown; version?: unknown };
    const name = typeof manifest.name === "string" ? manifest.name : fallback;
    return typeof manifest.version === "string" ? `${name}@${manifest.version}` : name;
  } catch {
    return fallback; // Deleted after it was loaded, or inside an archive.
  }
}
