/** Pure. Owns maps that keep what changed last, up to a limit. */

/** Sets a value as the newest; the oldest ones go. @param limit most entries, at least 1. */
export function keepNewest<K, V>(map: Map<K, V>, key: K, value: V, limit: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) return;
    map.delete(oldest);
  }
}
