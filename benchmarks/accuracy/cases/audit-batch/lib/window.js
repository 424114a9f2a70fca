/** Statistics of the last so many milliseconds. */
export class SlidingWindow {
  #points = [];
  #millis;

  constructor(millis) {
    this.#millis = millis;
  }

  add(value, about) {
    this.#points.push({ at: Date.now(), value, about });
    this.#drop();
  }

  summary() {
    this.#drop();
    const values = this.#points.map((point) => point.value).sort((a, b) => a - b);
    return { count: values.length, median: values[values.length >> 1] ?? null };
  }

  #drop() {
    const before = Date.now() - this.#millis;
    let gone = 0;
    while (gone < this.#points.length && this.#points[gone].at < before) gone++;
    if (gone > 200 || gone === this.#points.length) this.#points = this.#points.slice(gone);
  }
}
