/** Runs on the agent's worker thread and in the CLI. Owns which transport an endpoint needs; loads only that one. */
import type { OtlpEndpoint, OtlpSignal } from "../config";
import type { OtlpSender } from "./otlp-transport";

/** @param version of the agent, for the User-Agent. */
export async function createSender(endpoint: OtlpEndpoint, signal: OtlpSignal, version: string): Promise<OtlpSender> {
  if (endpoint.protocol === "grpc") {
    const { GrpcSender } = await import("./otlp-grpc.js");
    return new GrpcSender(endpoint, signal, version);
  }
  const { HttpSender } = await import("./otlp-http.js");
  return new HttpSender(endpoint, version);
}
