/** The part of sodium-native that we use; the package ships no types. */
declare module 'sodium-native' {
  interface Sodium {
    /** Poly1305 of `message` under the one-time `key` (32 bytes: r, which it clamps, and s) into `mac` (16 bytes). */
    crypto_onetimeauth(mac: Uint8Array, message: Uint8Array, key: Uint8Array): void;
    readonly crypto_onetimeauth_STATEBYTES: number;
    /** The same of a message in pieces; `state` holds what was computed so far. */
    crypto_onetimeauth_init(state: Uint8Array, key: Uint8Array): void;
    crypto_onetimeauth_update(state: Uint8Array, message: Uint8Array): void;
    crypto_onetimeauth_final(state: Uint8Array, mac: Uint8Array): void;
    crypto_onetimeauth_verify(mac: Uint8Array, message: Uint8Array, key: Uint8Array): boolean;
  }
  const sodium: Sodium;
  // eslint-disable-next-line import-x/no-default-export -- the package is CommonJS
  export default sodium;
}
