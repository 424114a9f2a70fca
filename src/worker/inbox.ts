/**
 * Runs on the agent's worker thread. Owns the order and the pace in which messages are handled: one in each turn of the
 * event loop. Must not grow without a bound: its senders wait for answers.
 */

/**
 * A message port hands over up to 1,000 messages before the event loop goes on, those that come meanwhile included
 * (`MessagePort::OnMessage` in Node's src/node_messaging.cc). A worker that is behind would never get to its timers and
 * sockets: nothing would be sent, and no attempt would time out.
 */
export class Inbox {
  private readonly waiting: (() => void)[] = [];

  /** @param work handles one message; must not throw. */
  add(work: () => void): void {
    this.waiting.push(work);
    if (this.waiting.length === 1) setImmediate(() => this.turn());
  }

  private turn(): void {
    try {
      this.waiting[0]?.();
    } finally {
      this.waiting.shift();
      if (this.waiting.length > 0) setImmediate(() => this.turn());
    }
  }
}
