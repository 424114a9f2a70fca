import Fastify from "fastify";
import { record, written } from "./lib/audit.js";
import { sessionFor, sweepEvery } from "./lib/sessions.js";
import { SlidingWindow } from "./lib/window.js";

const app = Fastify();
const latency = new SlidingWindow(8_000);
sweepEvery(1_000);

app.post("/sign-in", async (request) => {
  const session = sessionFor(request.body.user);
  record("sign-in", { user: request.body.user, session: session.id, headers: { ...request.headers } });
  return { session: session.id };
});
app.post("/payments/:payment/refund", async (request) => {
  const started = performance.now();
  const lines = Array.from({ length: 20 }, (_, i) => ({
    line: i,
    amount: (i * 17) % 90,
    note: `refund ${request.params.payment}`,
  }));
  record("refund", { payment: request.params.payment, lines });
  latency.add(performance.now() - started, { payment: request.params.payment });
  return { refunded: lines.reduce((sum, line) => sum + line.amount, 0) };
});
app.get("/payments/:payment", async (request) => ({
  payment: request.params.payment,
  history: "paid ".repeat(40).split(" "),
}));
app.get("/latency", async () => latency.summary());
app.get("/written", async () => ({ written: written() }));
app.get("/health", async () => ({ ok: true }));

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
