import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addItem, cartTotal, countPieces, createCart, removeItem } from '../src/cart.js';

const mug = { sku: 'mug', name: 'Mug', price: 1250 };
const tea = { sku: 'tea', name: 'Tea', price: 495 };

test('a new cart is empty and costs nothing', () => {
  assert.deepEqual(createCart().items, []);
  assert.equal(cartTotal(createCart()), 0);
});

test('adding an item leaves the old cart as it was', () => {
  const before = createCart();
  addItem(before, mug);
  assert.deepEqual(before.items, []);
});

test('the total is the sum of different items', () => {
  assert.equal(cartTotal(addItem(addItem(createCart(), mug), tea)), 1745);
});

test('the same item twice is one line with a higher quantity', () => {
  const cart = addItem(addItem(createCart(), mug), mug, 2);
  assert.equal(cart.items.length, 1);
  assert.equal(countPieces(cart), 3);
});

test('the total counts every piece of an item', () => {
  const cart = addItem(addItem(createCart(), mug, 3), tea);
  assert.equal(cartTotal(cart), 4245);
});

test('a removed item costs nothing', () => {
  assert.equal(cartTotal(removeItem(addItem(addItem(createCart(), mug), tea), 'mug')), 495);
});

test('quantities and prices must make sense', () => {
  assert.throws(() => addItem(createCart(), mug, 0), RangeError);
  assert.throws(() => addItem(createCart(), { ...mug, price: 12.5 }), RangeError);
});
