#!/usr/bin/env node
/**
 * Writes docs/finding.schema.json (JSON Schema 2020-12) from the types in src/model/finding.ts, so that the two cannot
 * disagree; a test fails when the file is out of date. With --check nothing is written and the exit code says it.
 */
"use strict";
const { readFileSync, writeFileSync } = require("node:fs");
const { join, resolve } = require("node:path");
const ts = require("typescript");

const ROOT = resolve(__dirname, "..");
const TYPES = join(ROOT, "src/model/finding.ts");
const SCHEMA = join(ROOT, "docs/finding.schema.json");
const ROOT_TYPE = "Finding";

/** @returns {object} the schema of one line of findings.jsonl. */
function makeSchema() {
  const source = ts.createSourceFile(TYPES, readFileSync(TYPES, "utf8"), ts.ScriptTarget.ES2022, true);
  const declarations = new Map();
  const constants = new Map();
  for (const statement of source.statements) {
    if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) {
      declarations.set(statement.name.text, statement);
    }
    if (ts.isVariableStatement(statement)) {
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (initializer !== undefined && ts.isStringLiteral(initializer))
          constants.set(name.getText(), initializer.text);
      }
    }
  }
  const context = { declarations, constants };
  const definitions = {};
  for (const [name, declaration] of declarations) {
    if (name !== ROOT_TYPE) definitions[name] = schemaOfDeclaration(declaration, context);
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "leak-agent finding, version 1",
    $comment: "Generated from src/model/finding.ts by scripts/make-finding-schema.js. Within /1 fields may be added.",
    ...schemaOfDeclaration(declarations.get(ROOT_TYPE), context),
    $defs: definitions,
  };
}

function schemaOfDeclaration(declaration, context) {
  if (ts.isTypeAliasDeclaration(declaration))
    return { ...comment(declaration), ...schemaOf(declaration.type, context) };
  const properties = {};
  const required = [];
  for (const member of allMembers(declaration, context)) {
    const name = member.name.getText();
    properties[name] = { ...comment(member), ...schemaOf(member.type, context) };
    if (member.questionToken === undefined) required.push(name);
  }
  return { ...comment(declaration), type: "object", required, properties };
}

/** An interface's own members after those it inherits. */
function allMembers(declaration, context) {
  const inherited = (declaration.heritageClauses ?? []).flatMap((clause) =>
    clause.types.flatMap((type) => allMembers(named(type.expression.getText(), context), context)),
  );
  return [...inherited, ...declaration.members];
}

function named(name, { declarations }) {
  const declaration = declarations.get(name);
  if (declaration === undefined) throw new Error(`${TYPES}: ${name} is not declared in this file`);
  return declaration;
}

function schemaOf(type, context) {
  switch (type.kind) {
    case ts.SyntaxKind.StringKeyword:
      return { type: "string" };
    case ts.SyntaxKind.NumberKeyword:
      return { type: "number" };
    case ts.SyntaxKind.BooleanKeyword:
      return { type: "boolean" };
  }
  if (ts.isLiteralTypeNode(type)) return literal(type.literal);
  if (ts.isTypeQueryNode(type)) return { const: context.constants.get(type.exprName.getText()) };
  if (ts.isArrayTypeNode(type)) return { type: "array", items: schemaOf(type.elementType, context) };
  if (ts.isTypeOperatorNode(type)) return schemaOf(type.type, context); // `readonly T[]`
  if (ts.isUnionTypeNode(type)) return union(type.types.map((part) => schemaOf(part, context)));
  if (ts.isTypeReferenceNode(type)) {
    const name = type.typeName.getText();
    named(name, context);
    return { $ref: `#/$defs/${name}` };
  }
  throw new Error(`${TYPES}: no schema for the type ${type.getText()}; teach scripts/make-finding-schema.js`);
}

function literal(node) {
  if (node.kind === ts.SyntaxKind.NullKeyword) return { type: "null" };
  if (ts.isStringLiteral(node)) return { const: node.text };
  throw new Error(`${TYPES}: no schema for the literal ${node.getText()}`);
}

/** `"a" | "b"` becomes an enum, `number | null` a list of types, anything else anyOf. */
function union(parts) {
  if (parts.every((part) => "const" in part)) return { enum: parts.map((part) => part.const) };
  if (parts.every((part) => Object.keys(part).length === 1 && "type" in part))
    return { type: parts.map((part) => part.type) };
  return { anyOf: parts };
}

function comment(node) {
  const text = ts.getJSDocCommentsAndTags(node).map((doc) => ts.getTextOfJSDocComment(doc.comment) ?? "");
  const joined = text.join(" ").replace(/\s+/g, " ").trim();
  return joined === "" ? {} : { description: joined };
}

function main() {
  const text = `${JSON.stringify(makeSchema(), null, 2)}\n`;
  if (!process.argv.includes("--check")) {
    writeFileSync(SCHEMA, text);
  } else if (readFileSync(SCHEMA, "utf8") !== text) {
    console.error("docs/finding.schema.json is out of date: run npm run schema");
    process.exitCode = 1;
  }
}

if (require.main === module) main();
module.exports = { makeSchema };
