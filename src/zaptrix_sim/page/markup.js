// Message text -> DOM nodes. Text only ever becomes text nodes: there is no way from here to HTML.

const DEEPEST = 12; // Nobody writes deeper; it keeps a hostile text from building a tower of elements.

const BB_ELEMENTS = { b: "strong", i: "em", s: "s", u: "u" };
const BB_TOKEN = /\[(\/?)(b|i|s|u|code)\]|\[br\]/gi;

/** Bitrix24's chat: [b] [i] [s] [u] [code] [br]; everything else, unclosed tags included, is shown as it is written. */
export function bbcodeNodes(text) {
  const root = frame(null, "");
  const open = [root];
  let from = 0;
  BB_TOKEN.lastIndex = 0;
  for (let token = BB_TOKEN.exec(text); token; token = BB_TOKEN.exec(text)) {
    addText(open.at(-1).nodes, text.slice(from, token.index));
    from = BB_TOKEN.lastIndex;
    if (!token[2]) addText(open.at(-1).nodes, "\n");
    else if (token[1]) closeTag(open, token[2].toLowerCase(), token[0]);
    else if (token[2].toLowerCase() === "code") from = BB_TOKEN.lastIndex = takeCode(open.at(-1), text, from, token[0]);
    else openTag(open, token[2].toLowerCase(), token[0]);
  }
  addText(open.at(-1).nodes, text.slice(from));
  while (open.length > 1) unopen(open);
  return fragment(root.nodes);
}

const frame = (tag, written) => ({ tag, written, nodes: [] });

function openTag(open, tag, written) {
  if (open.length > DEEPEST) addText(open.at(-1).nodes, written);
  else open.push(frame(tag, written));
}

function closeTag(open, tag, written) {
  if (!open.some((one) => one.tag === tag)) return addText(open.at(-1).nodes, written);
  while (open.at(-1).tag !== tag) unopen(open);
  const done = open.pop();
  open.at(-1).nodes.push(element(BB_ELEMENTS[tag], done.nodes));
}

/** A tag that nothing closed was not a tag: its brackets return as text. */
function unopen(open) {
  const { written, nodes } = open.pop();
  addText(open.at(-1).nodes, written);
  open.at(-1).nodes.push(...nodes);
}

function takeCode(into, text, from, written) {
  const end = text.slice(from).search(/\[\/code\]/i);
  if (end < 0) {
    addText(into.nodes, written);
    return from;
  }
  into.nodes.push(element("code", [document.createTextNode(text.slice(from, from + end))]));
  return from + end + "[/code]".length;
}

const WA_ELEMENTS = { "*": "strong", _: "em", "~": "s" };
const WA_CODE = /```([\s\S]+?)```|`([^`\n]+)`/g;

/** WhatsApp: *b* _i_ ~s~ within one line, `code` and ```code```, which may cross lines. */
export function whatsappNodes(text) {
  const nodes = [];
  let from = 0;
  for (const code of text.matchAll(WA_CODE)) {
    lines(nodes, text.slice(from, code.index));
    nodes.push(element("code", [document.createTextNode(code[1] ?? code[2])]));
    from = code.index + code[0].length;
  }
  lines(nodes, text.slice(from));
  return fragment(nodes);
}

function lines(nodes, text) {
  text.split("\n").forEach((line, index) => {
    if (index) addText(nodes, "\n");
    marks(nodes, line, DEEPEST);
  });
}

function marks(nodes, line, depth) {
  let from = 0;
  for (let at = 0; at < line.length; at += 1) {
    const tag = WA_ELEMENTS[line[at]];
    const end = tag && depth && opens(line, at) ? closing(line, at) : -1;
    if (end < 0) continue;
    addText(nodes, line.slice(from, at));
    const inner = [];
    marks(inner, line.slice(at + 1, end), depth - 1);
    nodes.push(element(tag, inner));
    at = end;
    from = end + 1;
  }
  addText(nodes, line.slice(from));
}

// A mark binds only from outside a word to a non-space, and the other way round at its end: 2*3*4 stays arithmetic.
const WORD = /[\p{L}\p{N}]/u;

function opens(line, at) {
  const next = line[at + 1] ?? " ";
  return !WORD.test(line[at - 1] ?? " ") && /\S/.test(next) && next !== line[at];
}

function closing(line, start) {
  for (let at = line.indexOf(line[start], start + 2); at > 0; at = line.indexOf(line[start], at + 1)) {
    if (/\S/.test(line[at - 1]) && !WORD.test(line[at + 1] ?? " ")) return at;
  }
  return -1;
}

/** What is left of a text when its marks, its operator prefix and its spaces are gone: two sides compare by it. */
export function plain(text) {
  return text
    .replace(/\u200b/g, "")
    .replace(/^\[b\].{1,120}?:\[\/b\]\s*(\[br\])?\s*/i, "")
    .replace(/\[\/?(?:b|i|s|u|code|br)\]/gi, "")
    .replace(/[\s*_~`>]+/g, "");
}

/** The first words of a chat's message, without its tags, for a list of chats. */
export function plainLine(text) {
  return text.slice(0, 160).replace(/\[br\]|\s+/gi, " ").replace(/\[\/?(?:b|i|s|u|code)\]/gi, "").trim();
}

const ADDRESS = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g;

/** Web addresses become links, as on both platforms. */
function addText(nodes, text) {
  let from = 0;
  for (const { 0: address, index } of text.matchAll(ADDRESS)) {
    if (index > from) nodes.push(document.createTextNode(text.slice(from, index)));
    const made = element("a", [document.createTextNode(address)]);
    Object.assign(made, { href: address, target: "_blank", rel: "noopener noreferrer" });
    nodes.push(made);
    from = index + address.length;
  }
  if (from < text.length) nodes.push(document.createTextNode(text.slice(from)));
}

function element(name, children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function fragment(nodes) {
  const made = document.createDocumentFragment();
  made.append(...nodes);
  return made;
}
