/**
 * Runs in the demo's process. Owns the check of a finding's file and line against functions found by parsing the source,
 * so that no line number is written down.
 */
"use strict";
const fs = require("node:fs");
const ts = require("typescript");

/**
 * @param {string} file a JavaScript file
 * @param {string[]} names functions by their own name, or by the variable or property they are assigned to; a variable
 *   whose value only contains a function (`const f = wrap(() => ...)`) names that one
 * @returns {{name: string, firstLine: number, lastLine: number}[]} 1-based, inclusive
 */
function functionRanges(file, names) {
  const source = ts.createSourceFile(
    file,
    fs.readFileSync(file, "utf8"),
    ts.ScriptTarget.Latest,
    true,
    ts.ScriptKind.JS,
  );
  const ranges = [];
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body !== undefined) {
      const name = namesOf(node, source).find((candidate) => names.includes(candidate));
      if (name !== undefined)
        ranges.push({ name, firstLine: lineAt(source, node.getStart()), lastLine: lineAt(source, node.getEnd()) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return ranges;
}

/** The function's own name and what its surrounding expression is assigned to. */
function namesOf(node, source) {
  const names = node.name === undefined ? [] : [node.name.getText(source)];
  for (
    let parent = node.parent;
    parent !== undefined && !ts.isFunctionLike(parent) && !ts.isBlock(parent);
    parent = parent.parent
  ) {
    if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) names.push(parent.name.getText(source));
    if (ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.EqualsToken)
      names.push(parent.left.getText(source));
  }
  return names;
}

function lineAt(source, position) {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}

/**
 * @param {{file: string, functions: string[]}[]} sites absolute files and the functions in them
 * @param {object} site a finding's `site`
 * @returns {{fileRight: boolean, lineRight: boolean}}
 */
function checkSite(sites, site) {
  const inFile = sites.filter(({ file }) => endsWithPath(file, site.file) && samePackage(file, site.package));
  const ranges = inFile.flatMap(({ file, functions }) => functionRanges(file, functions));
  return {
    fileRight: inFile.length > 0,
    lineRight: ranges.some(({ firstLine, lastLine }) => site.line >= firstLine && site.line <= lastLine),
  };
}

function endsWithPath(absolute, named) {
  const [whole, part] = [absolute, named].map((file) => file.replaceAll("\\", "/").replace(/^(\.\.?\/)+/, ""));
  return whole === part || whole.endsWith(`/${part}`);
}

/** A file of a package must not pass for the service's own, nor the reverse. */
function samePackage(file, name) {
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file.replaceAll("\\", "/"))?.[1];
  return inPackage === undefined ? name === "app" : String(name).startsWith(`${inPackage}@`);
}

module.exports = { checkSite, functionRanges };
