/** Numbers as people read them. */

const number = new Intl.NumberFormat("en");
const date = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

export function count(amount: number, one: string, many = `${one}s`): string {
  return `${number.format(amount)} ${amount === 1 ? one : many}`;
}

export function bytes(size: number): string {
  if (size < 1000) return count(size, "byte");
  const step = Math.min(Math.floor(Math.log10(size) / 3), 4);
  const value = size / 1000 ** step;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${["", "KB", "MB", "GB", "TB"][step]}`;
}

export function day(iso: string): string {
  return date.format(new Date(iso));
}
