import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMoney, percentOf, roundCents } from '../src/money.js';

test('amounts are shown with two decimals and thousands separated', () => {
  assert.equal(formatMoney(5), '0.05 EUR');
  assert.equal(formatMoney(123456), '1,234.56 EUR');
  assert.equal(formatMoney(-1250, 'CHF'), '-12.50 CHF');
});

test('fractions of a cent are refused', () => {
  assert.throws(() => formatMoney(0.5), TypeError);
});

test('halves are rounded away from zero', () => {
  assert.equal(roundCents(2.5), 3);
  assert.equal(roundCents(-2.5), -3);
  assert.equal(percentOf(1250, 10), 125);
});
