const TOWNS = ["Aldbury", "Brent", "Corfe", "Dunster", "Exmoor", "Fowey", "Goring", "Hythe"];

export function departures(station, count) {
  const from = Math.floor(Date.now() / 60_000);
  return Array.from({ length: count }, (_, i) => ({
    at: from + i * 3,
    to: TOWNS[(i + station.length) % TOWNS.length],
    platform: ((i * 7 + station.length) % 12) + 1,
    note: i % 5 === 0 ? `calls at ${TOWNS[i % TOWNS.length]} only` : null,
  }));
}

export function platformOf(station) {
  const byPlatform = {};
  for (const train of departures(station, 60)) {
    byPlatform[train.platform] ??= [];
    byPlatform[train.platform].push(train.to);
  }
  return byPlatform;
}

export function search(query) {
  return TOWNS.flatMap((town) => departures(town, 12))
    .filter(({ to }) => to.toLowerCase().includes(query.slice(0, 1)))
    .sort((a, b) => a.at - b.at)
    .slice(0, 15);
}
