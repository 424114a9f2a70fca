"use strict";
const LINES = "who has the key|the boat is late again|meet at the quay|bring bread and salt|all is quiet".split("|");
const rooms = new Map();
let entered = 0;

/** A member hears what is said in the room until the socket closes. */
function enter(room, name, socket) {
  const members = rooms.get(room) ?? new Map();
  rooms.set(room, members);
  const member = { key: `${room}:${++entered}`, name, since: new Date(), heard: 0, socket };
  members.set(member.key, member);
  socket.on("message", (data) => {
    member.heard += data.length;
  });
  socket.on("close", () => members.delete(name));
  socket.send(JSON.stringify({ room, welcome: name, lines: transcript(room, 3) }));
}

function transcript(room, count) {
  return Array.from({ length: count }, (_, i) => ({
    by: `guest ${(i * 7) % 13}`,
    text: LINES[(i + room.length) % LINES.length],
    at: i * 1_000,
  }));
}

function wordCloud(room) {
  const counts = new Map();
  for (const { text } of transcript(room, 120)) {
    for (const word of text.split(" ")) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12);
}

module.exports = { enter, transcript, wordCloud };
