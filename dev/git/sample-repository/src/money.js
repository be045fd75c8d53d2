/** Rounds to whole cents; halves go away from zero, as on an invoice. */
export function roundCents(amount) {
  return Math.sign(amount) * Math.round(Math.abs(amount));
}

/** Percent of an amount in cents, in whole cents. */
export function percentOf(amount, percent) {
  return roundCents((amount * percent) / 100);
}

/** `123456` becomes `1,234.56 EUR`. */
export function formatMoney(cents, currency = 'EUR') {
  if (!Number.isInteger(cents)) throw new TypeError(`not an amount in whole cents: ${cents}`);
  const sign = cents < 0 ? '-' : '';
  const digits = String(Math.abs(cents)).padStart(3, '0');
  const whole = digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${sign}${whole}.${digits.slice(-2)} ${currency}`;
}
