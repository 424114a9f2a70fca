"use strict";
const { setImmediate: turn } = require("node:timers/promises");

const CURRENCIES = ["EUR", "USD", "CHF", "JPY", "SEK"];

function seedOf(account) {
  let hash = 7;
  for (const letter of String(account)) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  return hash;
}

async function entries(account, count) {
  await turn();
  const seed = seedOf(account);
  return Array.from({ length: count }, (_, i) => ({
    number: i,
    amount: ((seed >>> (i % 13)) % 10_000) / 100,
    currency: CURRENCIES[(seed + i) % CURRENCIES.length],
    memo: `entry ${i} of ${account}`,
  }));
}

async function balance(account) {
  const total = {};
  for (const { currency, amount } of await entries(account, 120)) total[currency] = (total[currency] ?? 0) + amount;
  return { account, total };
}

async function settle(account) {
  const open = (await entries(account, 80)).filter((entry) => entry.amount > 20).slice(0, 12);
  await turn();
  return { account, at: new Date().toISOString(), open, total: open.reduce((sum, entry) => sum + entry.amount, 0) };
}

async function transfer({ from, to, amount }) {
  const [left, right] = await Promise.all([balance(from), balance(to)]);
  return { from: left.total, to: right.total, amount };
}

async function trialBalance() {
  const balances = await Promise.all(["north", "south", "river", "ocean"].map(balance));
  return balances.sort((a, b) => (a.total.EUR ?? 0) - (b.total.EUR ?? 0));
}

module.exports = { entries, balance, settle, transfer, trialBalance };
