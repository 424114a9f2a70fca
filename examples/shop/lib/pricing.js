"use strict";
const TAX = { eu: 0.21, uk: 0.2, us: 0.07 };

/** Net, tax and gross in cents for one line. */
function priceLine(product, quantity, region = "eu") {
  const net = Math.round(product.price * quantity * (quantity >= 10 ? 0.9 : 1));
  const tax = Math.round(net * (TAX[region] ?? 0.15));
  return { sku: product.sku, title: product.title, quantity, net, tax, gross: net + tax };
}

function totalOf(lines) {
  return lines.reduce((sum, line) => sum + line.gross, 0);
}

module.exports = { priceLine, totalOf };
