import http from "node:http";
import { departures, platformOf, search } from "./lib/timetable.js";
import { subscribe, watcherCount } from "./lib/watchers.js";

function json(response, value) {
  const text = JSON.stringify(value);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://board");
  const [, kind, name] = pathname.split("/");
  if (kind === "watch") subscribe(name, response);
  else if (kind === "departures") json(response, departures(name, 30));
  else if (kind === "platforms") json(response, platformOf(name));
  else if (kind === "search") json(response, search(searchParams.get("q") ?? ""));
  else if (kind === "health") json(response, { ok: true, served: watcherCount() > 0 });
  else response.writeHead(404).end();
});
server.listen(Number(process.env.PORT), "127.0.0.1");
