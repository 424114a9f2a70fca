/** Runs in the demo's process. Owns one line of the terminal; where there is no terminal, a line every ten seconds. */
"use strict";

const WIDTH = 30;
const PLAIN_INTERVAL_SECONDS = 10;

class ProgressBar {
  /** @param {number} totalSeconds of the whole bar */
  constructor(totalSeconds, stream = process.stderr) {
    this.totalSeconds = totalSeconds;
    this.stream = stream;
    this.nextPlainSeconds = PLAIN_INTERVAL_SECONDS;
  }

  /** @param {string} words what is known so far */
  show(elapsedSeconds, words) {
    const filled = Math.min(WIDTH, Math.floor((elapsedSeconds / this.totalSeconds) * WIDTH));
    const line = `[${"#".repeat(filled)}${" ".repeat(WIDTH - filled)}] ${elapsedSeconds.toFixed(0)}/${this.totalSeconds.toFixed(0)} s  ${words}`;
    if (this.stream.isTTY) {
      this.stream.write(`\r\x1b[K${line.slice(0, Math.max(20, (this.stream.columns ?? 100) - 1))}`);
    } else if (elapsedSeconds >= this.nextPlainSeconds) {
      this.nextPlainSeconds += PLAIN_INTERVAL_SECONDS;
      this.stream.write(`${line}\n`);
    }
  }

  clear() {
    if (this.stream.isTTY) this.stream.write("\r\x1b[K");
  }
}

module.exports = { ProgressBar };
