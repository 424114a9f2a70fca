/** Runs in the CLI process. Owns the package's version. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Such as `0.1.0`, from the package's own manifest. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(join(__dirname, "..", "..", "package.json"), "utf8")) as { version: string };
  return manifest.version;
}
