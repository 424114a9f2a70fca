"use strict";
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escape = (text) => String(text).replace(/[&<>"]/g, (character) => ESCAPES[character]);
const money = (cents) => (cents / 100).toFixed(2);

function productCard(product) {
  const tags = product.tags.map((tag) => `<li>${escape(tag)}</li>`).join("");
  return `<article data-sku="${escape(product.sku)}"><h2>${escape(product.title)}</h2><p>${escape(product.description)}</p><ul>${tags}</ul><b>${money(product.price)}</b></article>`;
}

/** Comma-separated text with a header line. */
function toCsv(rows) {
  const columns = Object.keys(rows[0] ?? {});
  return [columns.join(","), ...rows.map((row) => columns.map((column) => row[column]).join(","))].join("\n");
}

module.exports = { money, productCard, toCsv };
