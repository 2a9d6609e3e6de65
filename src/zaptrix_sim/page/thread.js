// One conversation as a list of bubbles. Nodes are kept by message id, so a change touches only what changed:
// screen readers hear additions only, and a selection or a scroll position survives.

import { currentLanguage, say } from "./words.js";

const SHOWN_MAX = 300;
const NEAR_BOTTOM_PX = 60;
const SVG = "http://www.w3.org/2000/svg";

export class Thread {
  #list;
  #jump;
  #rows = new Map();
  #key = null;
  #atBottom = true;

  constructor(list, jump) {
    this.#list = list;
    this.#jump = jump;
    jump.addEventListener("click", () => this.#toBottom());
    list.addEventListener("scroll", () => {
      this.#atBottom = this.#nearBottom();
      if (this.#atBottom) jump.hidden = true;
    });
    // A keyboard that opens or a window that shrinks must not push the newest message out of sight.
    new ResizeObserver(() => this.#atBottom && this.#toBottom()).observe(list);
  }

  /** items: [{id, side: "in"|"out"|"notice", author, text, at, tick}], render: text -> nodes. */
  show(key, items, render) {
    const wanted = `${currentLanguage()} ${key}`;
    const fresh = wanted !== this.#key;
    if (fresh) this.#startOver(wanted);
    const follow = fresh || this.#atBottom;
    const added = this.#lay(withDays(items.slice(-SHOWN_MAX), items.length - SHOWN_MAX), render);
    if (!added) return;
    if (follow || added.side === "out") this.#toBottom();
    else this.#jump.hidden = false;
  }

  /** Another conversation is not news: it is laid out silently, and announcements begin after it. */
  #startOver(key) {
    this.#key = key;
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#jump.hidden = true;
    this.#list.setAttribute("aria-live", "off");
    setTimeout(() => this.#list.setAttribute("aria-live", "polite"), 300);
  }

  #lay(items, render) {
    let newest = null;
    let place = this.#list.firstChild;
    const kept = new Set();
    for (const item of items) {
      kept.add(item.id);
      let row = this.#rows.get(item.id);
      if (!row) {
        row = makeRow(item);
        this.#rows.set(item.id, row);
        newest = item;
      }
      updateRow(row, item, render);
      if (row.node === place) place = place.nextSibling;
      else this.#list.insertBefore(row.node, place);
    }
    this.#forget(kept);
    return newest;
  }

  #forget(kept) {
    for (const [id, row] of this.#rows) {
      if (kept.has(id)) continue;
      row.node.remove();
      this.#rows.delete(id);
    }
  }

  #nearBottom() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    return scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
  }

  #toBottom() {
    this.#atBottom = true;
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#jump.hidden = true;
  }
}

function withDays(items, hidden) {
  const rows = hidden > 0 ? [{ id: `hidden ${hidden}`, side: "day", text: say("earlier", { n: hidden }) }] : [];
  let last = "";
  for (const item of items) {
    const day = dayName(item.at);
    if (day !== last) rows.push({ id: `day ${day} ${item.id}`, side: "day", text: day });
    last = day;
    rows.push(item);
  }
  return rows;
}

function makeRow(item) {
  const node = build("li", `row ${item.side}`);
  if (item.side === "day") return { node, body: node };
  node.dataset.id = item.id;
  const bubble = build("div", "bubble");
  if (item.author) bubble.append(build("span", "author", item.author));
  const body = build("span", "text");
  const foot = build("span", "foot");
  const time = build("time", "", clock(item.at));
  time.dateTime = moment(item.at).toISOString();
  foot.append(time);
  bubble.append(body, foot);
  if (item.buttons?.length) bubble.append(makeButtons(item.buttons));
  node.append(bubble);
  return { node, body, foot, tick: null };
}

/** What a template offers under its words; shown, as a phone would show it. */
function makeButtons(buttons) {
  const list = build("ul", "offers");
  for (const button of buttons) {
    const offer = build("li", "offer", button.text || button.type);
    offer.dataset.kind = button.type;
    offer.title = button.url || button.phone_number || button.code || "";
    list.append(offer);
  }
  return list;
}

function updateRow(row, item, render) {
  if (row.text !== item.text) {
    row.text = item.text;
    row.body.replaceChildren(item.side === "day" ? item.text : render(item.text));
  }
  if (!item.tick || row.shown === item.tick) return;
  row.shown = item.tick;
  row.tick ??= row.foot.appendChild(makeTick());
  row.tick.dataset.state = item.tick;
  row.tick.setAttribute("aria-label", say(`tick_${item.tick}`));
  row.tick.title = say(`tick_${item.tick}`);
  row.tick.querySelector("use").setAttribute("href", `#shape-${item.tick === "read" ? "delivered" : item.tick}`);
}

function makeTick() {
  const tick = build("span", "tick");
  tick.dataset.testid = "tick";
  tick.setAttribute("role", "img");
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(document.createElementNS(SVG, "use"));
  tick.append(drawing);
  return tick;
}

export function build(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** A time of the simulator: unix seconds, unix milliseconds or ISO. */
export function moment(at) {
  if (typeof at === "number") return new Date(at < 1e11 ? at * 1000 : at);
  const read = new Date(at ?? Number.NaN);
  return Number.isNaN(read.getTime()) ? new Date(0) : read;
}

const HOURS = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

export const clock = (at) => moment(at).toLocaleTimeString(currentLanguage(), HOURS);

function dayName(at) {
  const day = moment(at);
  const days = Math.round((midnight(new Date()) - midnight(day)) / 86_400_000);
  if (days === 0) return say("today");
  if (days === 1) return say("yesterday");
  return day.toLocaleDateString(currentLanguage(), { day: "numeric", month: "long", year: "numeric" });
}

const midnight = (day) => new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime();
