import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addItem, createCart } from '../src/cart.js';
import { checkout, discountFor, shippingFor } from '../src/pricing.js';

const mug = { sku: 'mug', name: 'Mug', price: 1250 };
const lamp = { sku: 'lamp', name: 'Lamp', price: 5900 };

test('a percentage coupon takes its share off', () => {
  assert.equal(discountFor(1250, 'WELCOME10'), 125);
});

test('a fixed coupon counts from its least amount on', () => {
  assert.equal(discountFor(2499, 'FIVEOFF'), 0);
  assert.equal(discountFor(2500, 'FIVEOFF'), 500);
});

test('an unknown coupon takes off nothing', () => {
  assert.equal(discountFor(1250, 'NOPE'), 0);
});

test('shipping is free from a certain amount on, and differs by country', () => {
  assert.equal(shippingFor(4999, 'DE'), 490);
  assert.equal(shippingFor(5000, 'DE'), 0);
  assert.equal(shippingFor(5000, 'AT'), 790);
  assert.throws(() => shippingFor(5000, 'XX'), RangeError);
});

test('the customer pays the items less the coupon plus shipping', () => {
  assert.deepEqual(checkout(addItem(createCart(), mug), { country: 'DE', coupon: 'WELCOME10' }), {
    subtotal: 1250,
    discount: 125,
    shipping: 490,
    total: 1615,
  });
  assert.equal(checkout(addItem(createCart(), lamp), { country: 'DE' }).total, 5900);
});
