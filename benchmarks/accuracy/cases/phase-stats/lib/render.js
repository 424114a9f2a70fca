"use strict";
function tilesOf(name, count) {
  return Array.from({ length: count }, (_, i) => ({ x: i % 8, y: i >> 3, seed: name.length * 31 + i }));
}

function paint({ x, y, seed }) {
  let row = "";
  for (let i = 0; i < 24; i++) row += String.fromCharCode(97 + ((seed * (i + 3) + x * 5 + y) % 26));
  return row;
}

function layoutOf(name) {
  const boxes = tilesOf(name, 64).map((tile) => ({ ...tile, width: (tile.seed % 5) + 1, label: `${name}-${tile.x}` }));
  boxes.sort((a, b) => b.width - a.width || a.seed - b.seed);
  return boxes.slice(0, 20);
}

module.exports = { tilesOf, paint, layoutOf };
