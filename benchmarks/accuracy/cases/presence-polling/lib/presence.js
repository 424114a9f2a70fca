"use strict";
const online = new Map();
let joins = 0;

function join(socket) {
  const member = { id: socket.id, name: `guest-${++joins}`, since: Date.now(), socket, typing: false };
  online.set(socket.id, member);
  socket.on("message", (text) => {
    member.typing = text === "typing";
  });
  // `disconnect` is what socket.io emits; an engine.io socket emits `close`.
  socket.on("disconnect", () => online.delete(socket.id));
}

function summary() {
  let typing = 0;
  for (const member of online.values()) if (member.typing) typing++;
  return { joins, typing };
}

module.exports = { join, summary };
