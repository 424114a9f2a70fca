import { original, scale } from "./images.js";

const variants = new Map();

/** Scaled images are kept: the same width is asked for again and again. */
export function variant(image, width) {
  const key = `${image}/${width}`;
  let scaled = variants.get(key);
  if (scaled === undefined) {
    scaled = scale(original(image), width);
    variants.set(key, scaled);
  }
  return scaled;
}
