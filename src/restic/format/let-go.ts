/**
 * Frees the memory of bytes that nobody will look at again. The collector would, but it knows too little of memory outside of its heap to
 * hurry, and a few garbage packs are tens of megabytes.
 */
export function letGo(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // Where something else lies in the same memory (Node's pool of small buffers) it stays.
  if (buffer instanceof ArrayBuffer && !buffer.detached && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
