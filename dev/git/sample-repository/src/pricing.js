import { cartTotal } from './cart.js';
import { percentOf } from './money.js';

const COUPONS = {
  WELCOME10: { percent: 10 },
  FIVEOFF: { amount: 500, from: 2500 },
};

const SHIPPING = {
  DE: { cost: 490, freeFrom: 5000 },
  AT: { cost: 790, freeFrom: 7500 },
};

/** What a coupon takes off, in cents; an unknown one takes off nothing. Never more than the subtotal. */
export function discountFor(subtotal, coupon) {
  const rule = COUPONS[coupon];
  if (!rule || subtotal < (rule.from ?? 0)) return 0;
  return Math.min(subtotal, rule.amount ?? percentOf(subtotal, rule.percent));
}

/** Shipping in cents for an amount after discount. */
export function shippingFor(amount, country) {
  const rule = SHIPPING[country];
  if (!rule) throw new RangeError(`no shipping to ${country}`);
  return amount === 0 || amount >= rule.freeFrom ? 0 : rule.cost;
}

/** What the customer pays. All amounts in cents. */
export function checkout(cart, { country, coupon } = {}) {
  const subtotal = cartTotal(cart);
  const discount = discountFor(subtotal, coupon);
  const shipping = shippingFor(subtotal - discount, country);
  return { subtotal, discount, shipping, total: subtotal - discount + shipping };
}
