const SIDE = 64;

export function original(image) {
  const pixels = Buffer.allocUnsafe(SIDE * SIDE);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (i * 7 + image.length * 13) & 255;
  return pixels;
}

export function scale(pixels, width) {
  const side = 48 + (width % 32);
  const scaled = Buffer.alloc(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      scaled[y * side + x] = pixels[Math.floor((y * SIDE) / side) * SIDE + Math.floor((x * SIDE) / side)];
    }
  }
  return scaled;
}

export function histogramOf(image) {
  const counts = new Array(16).fill(0);
  for (const pixel of original(image)) counts[pixel >> 4]++;
  return counts;
}

export function palette(image) {
  const colours = histogramOf(image).map((count, bucket) => ({ bucket, count, name: `${image}-${bucket}` }));
  return colours.sort((a, b) => b.count - a.count).slice(0, 6);
}
