"use strict";
const Handlebars = require("handlebars");

const compiled = new Map();

/** Compiled when first asked for: 8 locales, 12 layouts. */
function templateFor(locale, layout) {
  const key = `${locale}/${layout}`;
  let template = compiled.get(key);
  if (template === undefined) {
    const blocks = Array.from(
      { length: 14 },
      (_, i) =>
        `<section class="${layout}-${i}">{{#if title}}<h2>{{title}} ${i}</h2>{{/if}}{{#each paragraphs}}<p lang="${locale}">{{this}}</p>{{else}}<hr>{{/each}}</section>`,
    );
    template = Handlebars.compile(`<article>${blocks.join("")}</article>`);
    compiled.set(key, template);
  }
  return template;
}

module.exports = { templateFor };
