"use strict";
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escapeHtml = (text) => String(text).replace(/[&<>"]/g, (character) => ESCAPES[character]);
const money = (cents) => (cents / 100).toFixed(2);

function productCard(product) {
  const tags = product.tags.map((tag) => `<li>${escapeHtml(tag)}</li>`).join("");
  return `<article data-sku="${escapeHtml(product.sku)}"><h2>${escapeHtml(product.title)}</h2><p>${escapeHtml(product.description)}</p><ul>${tags}</ul><b>${money(product.price)}</b></article>`;
}

/** Comma-separated text with a header line. */
function toCsv(rows) {
  const columns = Object.keys(rows[0] ?? {});
  return [columns.join(","), ...rows.map((row) => columns.map((column) => row[column]).join(","))].join("\n");
}

module.exports = { money, productCard, toCsv };
