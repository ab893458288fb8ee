// A PNG, made by hand: a view of some hills, for a message that has an image.

import { deflateSync, crc32 as native } from 'node:zlib';

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
// Older versions of Node have none.
const crc32 = native ?? ((bytes) => ~bytes.reduce((crc, byte) => TABLE[(crc ^ byte) & 255] ^ (crc >>> 8), ~0) >>> 0);

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** The colour at a place, both coordinates from 0 to 1. */
function colour(x, y) {
  const hills = [
    [0.5 + 0.09 * Math.sin(5 * x + 1), [112, 148, 176]],
    [0.63 + 0.07 * Math.sin(7 * x + 3), [74, 120, 128]],
    [0.78 + 0.06 * Math.sin(4 * x + 5), [38, 84, 82]],
  ];
  const nearest = hills.filter(([top]) => y > top).at(-1);
  if (nearest) return nearest[1];
  if (Math.hypot((x - 0.72) * 1.6, y - 0.3) < 0.09) return [255, 244, 214];
  return [246 - 60 * (1 - y), 214 - 20 * (1 - y), 178 + 60 * (1 - y)];
}

export function png(width, height, at = colour) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) rows.set(at(x / width, y / height).map(Math.round), y * (1 + 3 * width) + 1 + 3 * x);
  }
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}
