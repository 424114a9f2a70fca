"use strict";
const { seatsOf } = require("./venue");

const HOLD_MILLIS = 4_000;
const RENEWAL_MILLIS = 60_000;
const holds = new Map();
let placed = 0;

/** Seats are held for a few seconds; while they are, the lock in the seat store is renewed. */
async function placeHold(show, { seats, customer }, session) {
  const id = `h${++placed}`;
  const free = (await seatsOf(show)).filter((seat) => seat.free).slice(0, seats);
  session.notes.push(`held ${free.length}`);
  const renewal = setInterval(() => renewLock(id, session), RENEWAL_MILLIS);
  const expiry = setTimeout(() => holds.delete(id), HOLD_MILLIS);
  expiry.unref();
  renewal.unref();
  holds.set(id, { customer, seats: free.map((seat) => seat.number), renewal, expiry });
  return { hold: id, seats: free.length };
}

async function extendHold(id) {
  const hold = holds.get(id);
  if (hold === undefined) return { extended: false };
  hold.expiry.refresh();
  return { extended: true };
}

function renewLock(id, session) {
  session.notes.push(`renewed ${id}`);
}

module.exports = { placeHold, extendHold };
