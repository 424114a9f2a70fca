const IDLE_MILLIS = 9_000;
const sessions = new Map();
let opened = 0;

export function sessionFor(user) {
  let session = sessions.get(user);
  if (session === undefined) {
    session = { id: `s${++opened}`, user, rights: ["read", "write"].map((right) => `${user}:${right}`), seen: 0 };
    sessions.set(user, session);
  }
  session.seen = Date.now();
  return session;
}

export function sweepEvery(millis) {
  setInterval(() => {
    const before = Date.now() - IDLE_MILLIS;
    for (const [user, session] of sessions) if (session.seen < before) sessions.delete(user);
  }, millis).unref();
}
