"use strict";
const http = require("node:http");
const express = require("express");
const { WebSocketServer } = require("ws");
const { enter, transcript, wordCloud } = require("./lib/chat");

const app = express();
app.get("/rooms/:room/transcript", (request, response) => response.json(transcript(request.params.room, 50)));
app.get("/rooms/:room/words", (request, response) => response.json(wordCloud(request.params.room)));
app.get("/health", (_request, response) => response.json({ ok: true }));

const server = http.createServer(app);
const sockets = new WebSocketServer({ server, path: "/chat" });
sockets.on("connection", (socket, request) => {
  const { searchParams } = new URL(request.url, "http://chat");
  enter(searchParams.get("room") ?? "lobby", searchParams.get("name") ?? "guest", socket);
});
server.listen(Number(process.env.PORT), "127.0.0.1");
