// How alike the pixels of an image are to one that was clicked, as the server tells it.

import { toast } from "./toasts.js";

/** The values of a grey picture at this address, one byte a pixel; null where it cannot be had, which is said. */
export async function alike(address, width, height) {
  const response = await fetch(address).catch(() => null);
  if (response?.ok) return grey(await response.blob(), width, height);
  const said = response?.status === 404 ? await response.text() : "The server does not tell what is alike; try again.";
  toast(said, true);
  return null;
}

async function grey(blob, width, height) {
  const picture = await createImageBitmap(blob);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height }, (_, at) => data[4 * at]);
}
