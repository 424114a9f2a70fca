import { setImmediate as turn } from "node:timers/promises";
import { currentLimits, type Limits, onLimits } from "./limits";

export interface Stay {
  readonly hotel: string;
  readonly nights: number;
  readonly guests: number;
}

/** The limits as they are while a booking is worked on: they may change in between. */
class LiveLimits {
  private limits = currentLimits();

  constructor(readonly stay: Stay) {
    onLimits((limits) => this.take(limits));
  }

  take(limits: Limits): void {
    this.limits = limits;
  }

  allows(): boolean {
    return this.stay.nights <= this.limits.maxNights && this.stay.guests <= this.limits.maxGuests;
  }
}

async function nightsOf(stay: Stay) {
  await turn();
  return Array.from({ length: stay.nights }, (_, night) => ({
    night,
    price: 80 + ((stay.hotel.length * 13 + night * 7) % 60),
    label: `${stay.hotel} night ${night + 1}`,
  }));
}

export async function bookings(stay: Stay) {
  const live = new LiveLimits(stay);
  const nights = await nightsOf(stay);
  if (!live.allows()) return { accepted: false };
  return { accepted: true, total: nights.reduce((sum, night) => sum + night.price, 0), nights };
}

export async function quote(stay: Stay) {
  const { maxNights, maxGuests } = currentLimits();
  const nights = await nightsOf(stay);
  const total = nights.reduce((sum, night) => sum + night.price, 0);
  return { possible: stay.nights <= maxNights && stay.guests <= maxGuests, total };
}

export async function availability(hotel: string) {
  const months = await Promise.all([28, 30, 31].map((nights) => nightsOf({ hotel, nights, guests: 2 })));
  return months.map((nights) => ({
    free: nights.filter((night) => night.price % 3 !== 0).length,
    cheapest: nights.sort((a, b) => a.price - b.price).slice(0, 5),
  }));
}
