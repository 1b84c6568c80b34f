/** Sizes of volumes as Kubernetes writes them. */

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Bytes of a quantity such as `20Gi`, `1.5G` or `2e9`; undefined for what is none. */
export function bytesOfQuantity(quantity: string | undefined): number | undefined {
  const [, number, suffix = ''] = /^([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)([A-Za-z]{0,2})$/.exec(quantity ?? '') ?? [];
  const factor = FACTORS[suffix];
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

/** The larger of two quantities, as it is written; what is no quantity loses. */
export function largerQuantity(a: string | undefined, b: string | undefined): string | undefined {
  return (bytesOfQuantity(b) ?? -1) > (bytesOfQuantity(a) ?? -1) ? b : a;
}

const GIB = 2 ** 30;

/** Room for so many bytes of files and a quarter more, for a file system keeps some for itself: `2Gi`, never less than one. */
export function quantityFor(bytes: number): string {
  return `${Math.max(1, Math.ceil((bytes * 1.25) / GIB))}Gi`;
}
