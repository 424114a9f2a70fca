"use strict";
const { setTimeout: delay } = require("node:timers/promises");

const ROOMS = ["harbour", "market", "station", "library", "garden"];
const KEPT_MESSAGES = 200;
const messages = new Map(ROOMS.map((room) => [room, []]));

const list = () => ROOMS.map((name) => ({ name, messages: messages.get(name).length }));

async function history(room, count) {
  await delay(1);
  const own = messages.get(room) ?? [];
  const recent = own.slice(-count).map((message) => ({ ...message, words: message.text.split(" ").length }));
  return recent.sort((a, b) => b.at - a.at);
}

async function post(room, { author, text }) {
  const own = messages.get(ROOMS.includes(room) ? room : ROOMS[0]);
  own.push({ author, text, at: Date.now() });
  if (own.length > KEPT_MESSAGES) own.shift();
  return { room, count: own.length };
}

function digest(recent) {
  const rows = recent.map(({ author, text }) => `<li><b>${author}</b> ${text.replaceAll("<", "&lt;")}</li>`);
  return `<ul>${rows.join("")}</ul>`;
}

module.exports = { list, history, post, digest };
