/** A cluster of two; each worker prints its pid once it has served. Leaves when a line comes on stdin. */
"use strict";
const cluster = require("node:cluster");
const http = require("node:http");

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
  process.stdin.once("data", () => {
    process.stdin.destroy();
    for (const worker of Object.values(cluster.workers)) worker.process.kill("SIGTERM");
  });
  cluster.on("exit", (_worker, code) => console.log(`worker ended with ${code}`));
} else {
  const kept = [];
  const server = http.createServer((_request, response) => {
    for (let i = 0; i < 200; i++) kept.push({ i, text: `x${i}` });
    response.end("ok");
  });
  // Port 0 is shared by the workers of a cluster: an own port each, so that each gets its own requests.
  server.listen({ port: 0, host: "127.0.0.1", exclusive: true }, () => {
    let served = 0;
    const next = () => {
      http
        .get(
          { host: "127.0.0.1", port: server.address().port, path: `/own/${process.pid}`, agent: false },
          (response) => {
            response.resume().on("end", () => {
              served += 1;
              if (served === 20) console.log(`served by ${process.pid}`);
            });
          },
        )
        .on("error", () => {}); // Requests in flight at the end are cut off; not what is tested.
    };
    const timer = setInterval(next, 10);
    process.once("SIGTERM", () => {
      clearInterval(timer);
      server.close();
      server.closeAllConnections();
      process.disconnect();
    });
  });
}
