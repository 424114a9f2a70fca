import { departures } from "./timetable.js";

const watchers = new Map();
let served = 0;

/** Server-sent events: the present board at once, then a line per change. */
export function subscribe(station, response) {
  const id = ++served;
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write(`data: ${JSON.stringify(departures(station, 4))}\n\n`);
  watchers.set(id, { station, response, since: Date.now() });
  // A stream that the client leaves is closed, it never finishes.
  response.on("finish", () => watchers.delete(id));
}

export const watcherCount = () => served;

setInterval(() => {
  for (const { response } of watchers.values()) if (!response.destroyed) response.write(": still here\n\n");
}, 2_000).unref();
