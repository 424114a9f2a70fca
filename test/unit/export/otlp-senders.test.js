/** Both transports against a backend that answers in every way, and what is said about it. */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { once } = require("node:events");
const { mkdtempSync, readFileSync, rmSync } = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { after, test } = require("node:test");
const { gzipSync } = require("node:zlib");
const { readConfiguration } = require("../../../dist/config");
const { createSender } = require("../../../dist/export/otlp-sender");
const { FakeCollector } = require("../../harness/fake-collector");

const BODY = Buffer.from("a request".repeat(1_000));
const SECRET = "hunter2-token";
const folder = mkdtempSync(join(tmpdir(), "leak-agent-tls-"));
after(() => rmSync(folder, { recursive: true }));

function endpointOf(collector, more = {}) {
  const isGrpc = collector.protocol === "grpc";
  return {
    url: isGrpc ? collector.url : `${collector.url}/v1development/profiles`,
    protocol: collector.protocol,
    headers: {},
    timeoutMillis: 5_000,
    compression: "gzip",
    certificateFile: null,
    clientKeyFile: null,
    clientCertificateFile: null,
    ...more,
  };
}

/** A backend and a sender for one test; both are closed with it. */
async function pair(context, protocol, { tls = null, ...more } = {}) {
  const collector = await new FakeCollector({ protocol, tls }).listen();
  const sender = await createSender(endpointOf(collector, more), "profiles", "1.2.3");
  context.after(async () => {
    sender.close();
    await collector.close();
  });
  return { collector, sender, send: (body = BODY) => sender.send(gzipSync(body)) };
}

/** A certificate for 127.0.0.1, signed by itself. */
function certificate(name) {
  const key = join(folder, `${name}-key.pem`);
  const cert = join(folder, `${name}-cert.pem`);
  const options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  execFileSync("openssl", [...options, "-keyout", key, "-out", cert, ...subject], { stdio: "pipe" });
  return { keyFile: key, certFile: cert, key: readFileSync(key), cert: readFileSync(cert) };
}

for (const protocol of ["http/protobuf", "grpc"]) {
  const isGrpc = protocol === "grpc";

  test(`${protocol}: the body arrives as it is, over one connection, gzipped or not`, async (context) => {
    const warnings = [];
    const note = (warning) => warnings.push(warning.message);
    process.on("warning", note);
    context.after(() => process.off("warning", note));
    for (const compression of ["gzip", "none"]) {
      const { collector, send } = await pair(context, protocol, { compression });
      for (let i = 0; i < 12; i++) assert.deepEqual(await send(), { kind: "exported", warning: "" });
      assert.equal(collector.received.length, 12);
      assert.ok(collector.received.every((body) => body.equals(BODY)));
      assert.equal(collector.sockets.size, 1);
      const [headers] = collector.requests;
      assert.equal(headers[isGrpc ? "grpc-encoding" : "content-encoding"], compression === "gzip" ? "gzip" : undefined);
      assert.match(headers["user-agent"], /leak-agent.*1\.2\.3/);
      assert.equal(headers["content-type"], isGrpc ? "application/grpc" : "application/x-protobuf");
    }
    assert.deepEqual(warnings, [], "no listener stays behind");
  });

  test(`${protocol}: headers are sent along, those of the protocol stay its own`, async (context) => {
    const own = { "content-type": "text/plain", ":path": "/x", host: "other", "x-tenant": "a b" };
    const headers = isGrpc ? own : { "content-type": "text/plain", "x-tenant": "a b" };
    const { collector, send } = await pair(context, protocol, { headers });
    assert.equal((await send()).kind, "exported");
    assert.equal(collector.requests[0]["x-tenant"], "a b");
    assert.notEqual(collector.requests[0]["content-type"], "text/plain");
  });

  for (const [answer, kind, code] of [
    ["ok", "exported"],
    ["partial", "partial"],
    ["garbage-body", "exported"],
    ["429", "retryable", isGrpc ? "gRPC RESOURCE_EXHAUSTED" : "HTTP 429"],
    ["503", "retryable", isGrpc ? "gRPC UNAVAILABLE" : "HTTP 503"],
    ["400", "rejected", isGrpc ? "gRPC INVALID_ARGUMENT" : "HTTP 400"],
    ["404", "rejected", isGrpc ? "gRPC UNIMPLEMENTED" : "HTTP 404"],
    ["reset-request", "retryable"],
    ["reset-answer", "retryable"],
    ...(isGrpc
      ? [
          ["exhausted", "rejected", "gRPC RESOURCE_EXHAUSTED"],
          ["headers-only", "retryable", "gRPC UNAVAILABLE"],
          ["no-status", "rejected", "gRPC UNKNOWN"],
        ]
      : [
          ["301", "rejected", "HTTP 301"],
          ["reset-after-200", "exported"],
          ["garbage-bytes", "retryable"],
        ]),
  ]) {
    test(`${protocol}: ${answer} is ${kind}, and the next body goes through`, async (context) => {
      const { collector, send } = await pair(context, protocol);
      collector.behave = (number) => (number === 1 ? answer : "ok");
      const outcome = await send();
      assert.equal(outcome.kind, kind, JSON.stringify(outcome));
      if (code !== undefined) assert.equal(outcome.code, code);
      if (answer === "429") assert.equal(outcome.retryAfterMillis, 1_000);
      if (answer === "partial") assert.deepEqual([outcome.rejectedCount, outcome.reason], [2, "too old"]);
      assert.equal((await send()).kind, "exported");
      assert.ok(collector.received.at(-1).equals(BODY));
    });
  }

  for (const answer of ["hang", "slow"]) {
    test(`${protocol}: ${answer} ends with the timeout, and the next body goes through`, async (context) => {
      const { collector, send } = await pair(context, protocol, { timeoutMillis: 300 });
      collector.behave = (number) => (number === 1 ? answer : "ok");
      const outcome = await send();
      assert.deepEqual([outcome.kind, outcome.code], ["retryable", "timeout"]);
      assert.equal((await send()).kind, "exported");
    });
  }

  test(`${protocol}: a backend that is down is tried again, and found when it is back`, async (context) => {
    const { collector, send } = await pair(context, protocol);
    const { port } = collector;
    assert.equal((await send()).kind, "exported");
    await collector.close();
    const outcome = await send();
    assert.deepEqual([outcome.kind, outcome.code], ["retryable", "ECONNREFUSED"]);
    await collector.listen(port);
    assert.equal((await send()).kind, "exported");
  });

  test(`${protocol}: only the given certificate is trusted, and a client may show its own`, async (context) => {
    const server = certificate("server");
    const client = certificate("client");
    const tls = { key: server.key, cert: server.cert, ca: client.cert, requestCert: true, rejectUnauthorized: true };
    const right = {
      certificateFile: server.certFile,
      clientKeyFile: client.keyFile,
      clientCertificateFile: client.certFile,
    };
    const trusted = await pair(context, protocol, { tls, ...right });
    assert.deepEqual(await trusted.send(), { kind: "exported", warning: "" });
    const unknown = await pair(context, protocol, { tls: { key: server.key, cert: server.cert } });
    const refused = await unknown.send();
    assert.deepEqual([refused.kind, refused.code], ["retryable", "DEPTH_ZERO_SELF_SIGNED_CERT"]);
    const anonymous = await pair(context, protocol, { tls, certificateFile: server.certFile });
    assert.equal((await anonymous.send()).kind, "retryable");
    const missing = await pair(context, protocol, { tls, certificateFile: join(folder, "none.pem") });
    assert.match((await missing.send()).reason, /OTEL_EXPORTER_OTLP_CERTIFICATE cannot be read \(ENOENT\)/);
    assert.equal(unknown.collector.received.length + anonymous.collector.received.length, 0);
  });

  test(`${protocol}: what a backend repeats of the headers is not told, nor are control characters`, async (context) => {
    const headers = {
      authorization: `Bearer ${SECRET}`,
      "x-basic": `Basic ${Buffer.from("me:pass-w0rd").toString("base64")}`,
    };
    const { collector, send } = await pair(context, protocol, { headers });
    const echo = `no: Bearer ${SECRET} / ${SECRET} pass-w0rd\u001b[31m\nnext\u2028line`;
    collector.behave = () => (response) => {
      if (!isGrpc) return response.writeHead(400).end(echo);
      response.respond(
        { ":status": 200, "grpc-status": "3", "grpc-message": encodeURIComponent(echo) },
        { endStream: true },
      );
    };
    const { kind, reason } = await send();
    assert.equal(kind, "rejected");
    assert.match(reason, /no: \*\*\*/);
    assert.ok(!JSON.stringify(reason).includes(SECRET) && !reason.includes("pass-w0rd"), reason);
    assert.match(reason, /^[\x20-\x7e]+$/);
  });
}

test("each transport is told from the other's port", async (context) => {
  const grpc = await new FakeCollector({ protocol: "grpc" }).listen();
  const http = await new FakeCollector().listen();
  context.after(() => Promise.all([grpc.close(), http.close()]));
  for (const [url, protocol] of [
    [`${grpc.url}/v1development/profiles`, "http/protobuf"],
    [http.url, "grpc"],
  ]) {
    const sender = await createSender(endpointOf({ url, protocol }, { url }), "profiles", "1");
    assert.equal((await sender.send(gzipSync(BODY))).kind, "retryable");
    sender.close();
  }
});

test("a port that speaks another protocol is tried again", async (context) => {
  const server = net.createServer((socket) => socket.on("error", () => {}).end("SSH-2.0-OpenSSH_9.6\r\n"));
  context.after(() => server.close());
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  for (const protocol of ["http/protobuf", "grpc"]) {
    const sender = await createSender(endpointOf({ url, protocol }, { url }), "metrics", "1");
    assert.equal((await sender.send(gzipSync(BODY))).kind, "retryable");
    sender.close();
  }
});

test("a kept connection that the backend has closed costs no attempt", async (context) => {
  const { collector, send } = await pair(context, "http/protobuf");
  assert.equal((await send()).kind, "exported");
  for (const socket of collector.sockets) socket.resetAndDestroy();
  assert.equal((await send()).kind, "exported");
  assert.equal(collector.received.length, 2);
});

test("an endless answer is cut", async (context) => {
  const { collector, send } = await pair(context, "http/protobuf");
  collector.behave = () => (response, take) => {
    take();
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  };
  assert.equal((await send()).kind, "exported");
});

test("a name that does not resolve, or a port that never answers, is tried again", async (context) => {
  const silent = net.createServer(() => {}).listen(0, "127.0.0.1");
  context.after(() => silent.close());
  await new Promise((resolve) => silent.once("listening", resolve));
  for (const protocol of ["http/protobuf", "grpc"]) {
    const url = `http://127.0.0.1:${silent.address().port}`;
    const sender = await createSender(endpointOf({ url, protocol }, { url, timeoutMillis: 200 }), "logs", "1");
    assert.deepEqual((await sender.send(gzipSync(BODY))).code, "timeout");
    sender.close();
    const nowhere = await createSender(endpointOf({ url, protocol }, { url: "http://nowhere.invalid:1" }), "logs", "1");
    assert.equal((await nowhere.send(gzipSync(BODY))).kind, "retryable");
    nowhere.close();
  }
});

/** A proxy that answers in the backend's place, and knows what it was asked. */
async function proxyOf(context) {
  const asked = [];
  const proxy = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.resume().on("end", () => response.end());
  });
  proxy.on("connect", (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    socket.on("error", () => {}).end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  context.after(() => proxy.close());
  return { asked, url: `http://me:pa55word@127.0.0.1:${proxy.address().port}` };
}

test("HTTP goes through the proxy of the environment where Node can, and tells where it cannot", async (context) => {
  const { asked, url } = await proxyOf(context);
  const env = {
    NODE_USE_ENV_PROXY: "1",
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    NO_PROXY: "direct.invalid",
    OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT: "http://collector.invalid:4318/p",
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://collector.invalid/m",
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://direct.invalid:4318/l",
  };
  const { settings, problems } = readConfiguration(env);
  const outcomes = {};
  for (const signal of ["profiles", "metrics", "logs"]) {
    const sender = await createSender(settings.otlp[signal], signal, "1.2.3");
    outcomes[signal] = await sender.send(gzipSync(BODY));
    sender.close();
  }
  assert.equal(outcomes.logs.kind, "retryable", "NO_PROXY: nobody is there without a proxy");
  if (!process.allowedNodeEnvironmentFlags.has("--use-env-proxy")) {
    assert.equal(problems.length, 1, "once, not for each signal");
    assert.match(problems[0], /NODE_USE_ENV_PROXY does nothing in this Node: use 22\.21, 24\.5 or newer/);
    assert.deepEqual(asked, []);
    return;
  }
  assert.deepEqual(problems, []);
  assert.equal(outcomes.profiles.kind, "exported");
  assert.deepEqual(asked, ["POST http://collector.invalid:4318/p", "CONNECT collector.invalid:443"]);
  assert.equal(outcomes.metrics.code, "ERR_PROXY_TUNNEL");
  assert.doesNotMatch(JSON.stringify(outcomes), /pa55word/);
});

test("without NODE_USE_ENV_PROXY the proxy's variables mean nothing, as in Node itself", () => {
  const env = { HTTP_PROXY: "http://127.0.0.1:9", OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };
  assert.equal(readConfiguration(env).settings.otlp.logs.proxy, undefined);
});
