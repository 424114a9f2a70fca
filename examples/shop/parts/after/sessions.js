"use strict";
const session = require("express-session");
const { LRUCache } = require("lru-cache");

/** Keeps the sessions that were used last. */
class RecentStore extends session.Store {
  #recent = new LRUCache({ max: 400 });

  get(id, done) {
    const text = this.#recent.get(id);
    done(null, text === undefined ? null : JSON.parse(text));
  }

  set(id, value, done) {
    this.#recent.set(id, JSON.stringify(value));
    done?.(null);
  }

  destroy(id, done) {
    this.#recent.delete(id);
    done?.(null);
  }
}

const sessions = session({
  secret: "shop",
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 1_800_000 },
  store: new RecentStore(),
});

module.exports = { sessions };
