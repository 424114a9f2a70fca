"use strict";
const http = require("node:http");
const express = require("express");
const engine = require("engine.io");
const presence = require("./lib/presence");
const rooms = require("./lib/rooms");

const app = express();
app.use(express.json());
app.get("/rooms", (_request, response) => response.json(rooms.list()));
app.get("/rooms/:room/history", async (request, response) => {
  response.json(await rooms.history(request.params.room, 40));
});
app.post("/rooms/:room/messages", async (request, response) => {
  response.json(await rooms.post(request.params.room, request.body));
});
app.get("/rooms/:room/digest", async (request, response) => {
  response.type("html").send(rooms.digest(await rooms.history(request.params.room, 60)));
});
app.get("/online", (_request, response) => response.json(presence.summary()));
app.get("/health", (_request, response) => response.json({ ok: true }));

const server = http.createServer(app);
const realtime = engine.attach(server, { path: "/realtime", pingInterval: 2_000, pingTimeout: 1_500 });
realtime.on("connection", (socket) => presence.join(socket));
server.listen(Number(process.env.PORT), "127.0.0.1");
