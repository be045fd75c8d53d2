/** An empty cart. Carts are never changed in place. */
export function createCart() {
  return { items: [] };
}

/**
 * A cart with `quantity` more pieces of a product.
 * The same sku twice is one line with a higher quantity.
 */
export function addItem(cart, product, quantity = 1) {
  if (!Number.isInteger(quantity) || quantity < 1) throw new RangeError(`not a quantity: ${quantity}`);
  if (!Number.isInteger(product.price) || product.price < 0) throw new RangeError(`not a price: ${product.price}`);
  const known = cart.items.find((item) => item.sku === product.sku);
  if (!known) return { ...cart, items: [...cart.items, { ...product, quantity }] };
  return {
    ...cart,
    items: cart.items.map((item) => (item === known ? { ...item, quantity: item.quantity + quantity } : item)),
  };
}

/** A cart without the product. */
export function removeItem(cart, sku) {
  return { ...cart, items: cart.items.filter((item) => item.sku !== sku) };
}

/** How many pieces are in the cart. */
export function countPieces(cart) {
  return cart.items.reduce((count, item) => count + item.quantity, 0);
}

/** What the items cost together, in cents, before coupons and shipping. */
export function cartTotal(cart) {
  return cart.items.reduce((total, item) => total + item.price, 0);
}
