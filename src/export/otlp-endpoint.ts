/**
 * Runs on the agent's worker thread and in the CLI. Owns what may be told of a backend's words, and an endpoint's TLS
 * files. Whatever a backend or the network says goes through `withoutSecrets` before anybody reads it.
 */
import { readFileSync } from "node:fs";
import { type OtlpEndpoint, percentDecoded } from "../config";

export { describeEndpoint } from "../config";

/** Longest part of a foreign text that is repeated. */
const MAX_TEXT_LENGTH = 200;
/** Shorter values are flags and numbers; hiding them would only garble the text. */
const SHORTEST_SECRET = 3;

export interface TlsFiles {
  readonly ca?: Buffer;
  readonly key?: Buffer;
  readonly cert?: Buffer;
}

/** One printable line of bounded length without any header value, key or query of this endpoint. */
export function withoutSecrets(text: string, endpoint: OtlpEndpoint): string {
  let clean = text;
  for (const secret of secretsOf(endpoint)) clean = clean.replaceAll(secret, "***");
  clean = clean.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return clean.length <= MAX_TEXT_LENGTH ? clean : `${clean.slice(0, MAX_TEXT_LENGTH)}...`;
}

/** Longest first, so that no part of one is left over. A backend may repeat only the token of `Bearer token`. */
function secretsOf({ headers, url, proxy = {} }: OtlpEndpoint): string[] {
  const values = Object.values(headers);
  const parts = values.flatMap((value) => value.split(/\s+/));
  const basic = parts.map((part) => Buffer.from(part, "base64").toString("utf8")).filter((text) => text.includes(":"));
  const credentials = basic.flatMap((text) => [text, text.slice(text.indexOf(":") + 1)]);
  const { search, searchParams } = new URL(url);
  const all = [
    ...values,
    ...parts,
    ...credentials,
    search.slice(1),
    ...searchParams.values(),
    ...Object.values(proxy).flatMap(proxySecrets),
  ];
  const secrets = all.filter((secret) => secret.length >= SHORTEST_SECRET);
  return [...new Set(secrets)].sort((a, b) => b.length - a.length);
}

/** User and password of a proxy, as written and decoded. */
function proxySecrets(text: string): string[] {
  if (!URL.canParse(text)) return [];
  const { username, password } = new URL(text);
  const written = [`${username}:${password}`, password].filter((part) => part !== "" && part !== ":");
  return [...written, ...written.map(percentDecoded)];
}

/**
 * Read anew for each connection, so that renewed certificates are taken.
 * @returns the files, or the line that says which cannot be read.
 */
export function readTlsFiles(endpoint: OtlpEndpoint): TlsFiles | string {
  const files: { ca?: Buffer; key?: Buffer; cert?: Buffer } = {};
  const wanted = [
    ["ca", "CERTIFICATE", endpoint.certificateFile],
    ["key", "CLIENT_KEY", endpoint.clientKeyFile],
    ["cert", "CLIENT_CERTIFICATE", endpoint.clientCertificateFile],
  ] as const;
  for (const [option, what, path] of wanted) {
    if (path === null) continue;
    try {
      files[option] = readFileSync(path);
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).name;
      return `the file of OTEL_EXPORTER_OTLP_${what} cannot be read (${reason}): ${path}`;
    }
  }
  return files;
}
