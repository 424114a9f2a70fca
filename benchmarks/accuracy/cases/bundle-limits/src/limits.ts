export interface Limits {
  readonly maxNights: number;
  readonly maxGuests: number;
  readonly version: number;
}

type Listener = (limits: Limits) => void;

let limits: Limits = { maxNights: 14, maxGuests: 4, version: 1 };
const listeners: Listener[] = [];

export const currentLimits = (): Limits => limits;

/** @returns the function that ends the subscription. */
export function onLimits(listener: Listener): () => void {
  listeners.push(listener);
  return () => {
    const at = listeners.indexOf(listener);
    if (at >= 0) listeners.splice(at, 1);
  };
}

setInterval(() => {
  limits = { ...limits, version: limits.version + 1 };
  for (const listener of listeners) listener(limits);
}, 5_000).unref();
