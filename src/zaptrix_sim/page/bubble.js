// One row of a thread: made once, and made again only when what it says has changed.

import { cardNode, framed } from "./cards.js";
import { build, clock, moment, reshape, shape, shapeButton } from "./dom.js";
import { attachedCard, mediaNode } from "./media.js";
import { say } from "./words.js";

/** tools: {render: text -> nodes, act: what can be done to a message, goTo: id -> scroll}. */
export function makeRow(item) {
  const node = build("li", `row ${item.side}`);
  if (item.side === "day") {
    node.textContent = item.text;
    return { node };
  }
  node.dataset.id = item.id;
  const bubble = build("div", "bubble");
  node.append(bubble);
  return { node, bubble, foot: null, tick: null, said: "" };
}

export function updateRow(row, item, tools) {
  row.item = item;
  if (item.side === "day") return;
  const { tick, reactions, acts, status, ...content } = item;
  const said = JSON.stringify(content);
  if (row.said !== said) {
    row.said = said;
    fillBubble(row, item, tools);
  }
  showReactions(row, item, tools);
  showTick(row, tick);
}

function fillBubble(row, item, tools) {
  const { bubble } = row;
  row.tick = row.foot = row.chips = null;
  row.ticked = row.reacted = "";
  bubble.className = "bubble";
  bubble.classList.toggle("whisper", Boolean(item.whisper));
  bubble.classList.toggle("bare", item.kind === "sticker" && !item.deleted);
  bubble.dataset.kind = item.deleted ? "deleted" : (item.kind ?? "text");
  const frame = item.deleted ? null : framed(item, tools.act);
  bubble.replaceChildren();
  add(bubble, item.author && build("span", "author", item.author));
  addMarks(bubble, item);
  add(bubble, item.quote && quoteBlock(item.quote, tools));
  add(bubble, frame?.head);
  if (!item.deleted) addContent(bubble, item, tools, frame);
  const words = frame ? frame.body : item.text;
  add(bubble, item.deleted && withShape(build("span", "text gone", say("deleted")), "gone"));
  if (words) {
    const text = build("span", "text");
    text.append(tools.render(words));
    bubble.append(text);
  }
  add(bubble, frame?.foot && build("span", "footnote", frame.foot));
  for (const one of item.attached ?? []) bubble.append(attachedCard(one));
  if (item.kind !== "typing") bubble.append(makeFoot(row, item));
  if (frame?.offers.length) bubble.append(offerList(frame.offers));
  if (item.acts?.length) bubble.append(toolButton(row, tools));
}

function addMarks(bubble, item) {
  const mark = (name, text) => bubble.append(withShape(build("span", `mark ${name}`, text), name));
  if (item.forwarded) mark("forwarded", say(item.forwarded === "often" ? "forwardedOften" : "forwarded"));
  if (item.whisper) mark("eye", say("whisper"));
  if (item.mark) bubble.append(build("span", "mark", item.mark));
}

function addContent(bubble, item, tools, frame) {
  add(bubble, cardNode(item, tools.act));
  if (!item.file || frame) return;
  const [first, ...others] = item.files?.length ? item.files : [item.file];
  const options = { kind: first.type, voice: item.voice, caption: item.text, onPlay: () => tools.act.played?.(item) };
  bubble.append(mediaNode(first, options), ...others.map((file) => mediaNode(file, { kind: file.type })));
}

function quoteBlock(quote, tools) {
  const block = build("button", "quote");
  block.type = "button";
  block.disabled = quote.id === null;
  block.addEventListener("click", () => tools.goTo(quote.id));
  const words = build("span", "quote-words");
  if (quote.who) words.append(build("strong", "", quote.who));
  words.append(build("span", "", quote.text));
  block.append(words);
  if (quote.file?.mime.startsWith("image/") && quote.file.size < 1024 * 1024) {
    const img = build("img");
    img.alt = "";
    img.src = `/control/files/${encodeURIComponent(quote.file.id)}`;
    block.append(img);
  }
  return block;
}

function makeFoot(row, item) {
  row.foot = build("span", "foot");
  if (item.edited) row.foot.append(build("span", "edited", say("edited")));
  const time = build("time", "", clock(item.at));
  time.dateTime = moment(item.at).toISOString();
  row.foot.append(time);
  return row.foot;
}

function offerList(offers) {
  const list = build("ul", "offers");
  for (const offer of offers) {
    const row = build("li");
    row.append(offer);
    list.append(row);
  }
  return list;
}

function toolButton(row, tools) {
  const button = shapeButton("bubble-tools", "more", say("actions"), () => tools.act.menu(row.item, button));
  button.setAttribute("aria-haspopup", "menu");
  button.dataset.testid = "bubble-tools";
  return button;
}

function showReactions(row, item, tools) {
  const reacted = item.reactions.map((one) => `${one.by}${one.emoji}`).join();
  if (row.reacted === reacted) return;
  row.reacted = reacted;
  row.chips?.remove();
  row.chips = null;
  row.bubble.classList.toggle("reacted", item.reactions.length > 0);
  if (!item.reactions.length) return;
  row.chips = build("span", "reactions");
  row.chips.dataset.testid = "reactions";
  for (const { by, emoji } of item.reactions) {
    const chip = build(by === "own" ? "button" : "span", "reaction", emoji);
    if (by === "own") {
      chip.type = "button";
      chip.setAttribute("aria-label", say("takeBack", { emoji }));
      chip.title = say("takeBack", { emoji });
      chip.addEventListener("click", () => tools.act.react(row.item, ""));
    }
    row.chips.append(chip);
  }
  row.bubble.append(row.chips);
}

function showTick(row, tick) {
  if (!tick || row.ticked === tick || !row.foot) return;
  row.ticked = tick;
  row.node.dataset.tick = tick;
  row.tick ??= row.foot.appendChild(makeTick());
  row.tick.dataset.state = tick;
  row.tick.setAttribute("aria-label", say(`tick_${tick}`));
  row.tick.title = say(`tick_${tick}`);
  reshape(row.tick.firstChild, tick === "read" ? "delivered" : tick);
}

function makeTick() {
  const tick = build("span", "tick");
  tick.dataset.testid = "tick";
  tick.setAttribute("role", "img");
  tick.append(shape("sent"));
  return tick;
}

function withShape(node, name) {
  node.prepend(shape(name));
  return node;
}

function add(parent, node) {
  if (node) parent.append(node);
}

