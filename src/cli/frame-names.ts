/**
 * Runs in the CLI process. Owns how a frame of a recorded history is named to people: package and path relative to the
 * service. Must not need the service's files: the history may have come from another machine.
 */
import { readFileSync } from "node:fs";
import type { DescribedFrame } from "../detector/finding-record";
import { isNamable, packageFolder } from "../detector/stack-index";
import type { Frame } from "../model/observation";

export class FrameNames {
  private readonly packages = new Map<string, string>();

  /** @param applicationRoot the folder that paths are told relative to, as the history's header has it. */
  constructor(private readonly applicationRoot: string) {}

  /** `original` is always null: source maps are the agent's business, beside the service's files. */
  readonly describe = (frame: Frame): DescribedFrame => {
    const { file } = frame;
    if (!isNamable(file)) return { file, package: "node", original: null, isApplication: false };
    const folder = packageFolder(file);
    const packageName = folder === null ? "app" : this.packageName(folder);
    return { file: this.shortPath(file), package: packageName, original: null, isApplication: folder === null };
  };

  private packageName(folder: string): string {
    let name = this.packages.get(folder);
    if (name === undefined) {
      name = nameOf(folder);
      this.packages.set(folder, name);
    }
    return name;
  }

  private shortPath(file: string): string {
    const path = file.replaceAll("\\", "/");
    const packages = path.lastIndexOf("/node_modules/");
    if (packages >= 0) return path.slice(packages + 1);
    const root = `${this.applicationRoot.replaceAll("\\", "/")}/`;
    return path.startsWith(root) ? path.slice(root.length) : path;
  }
}

function nameOf(folder: string): string {
  const folderName = folder.replaceAll("\\", "/").replace(/^.*\/node_modules\//, "");
  try {
    const manifest = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as { version?: unknown };
    return typeof manifest.version === "string" ? `${folderName}@${manifest.version}` : folderName;
  } catch {
    return folderName; // Recorded on another machine, or removed since.
  }
}
