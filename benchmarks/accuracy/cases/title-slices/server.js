import Fastify from "fastify";
import { linksOf, outlineOf, wordCounts } from "./lib/pages.js";
import { duplicateOf, knownTitles } from "./lib/titles.js";

const app = Fastify();
app.addContentTypeParser("text/html", { parseAs: "string" }, (_request, body, done) => done(null, body));

app.put("/pages/:page", async (request) => ({ page: request.params.page, duplicate: duplicateOf(request.body) }));
app.post("/outline", async (request) => outlineOf(request.body));
app.post("/links", async (request) => linksOf(request.body));
app.get("/words/:text", async (request) => wordCounts(`${request.params.text} and `.repeat(60)));
app.get("/titles", async () => ({ known: knownTitles() }));
app.get("/health", async () => ({ ok: true }));

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
