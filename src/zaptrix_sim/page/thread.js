// One conversation as a list of bubbles. Nodes are kept by message id, so a change touches only what changed:
// screen readers hear additions only, and a selection, a scroll position or a sound that plays survives.

import { makeRow, updateRow } from "./bubble.js";
import { moment } from "./dom.js";
import { currentLanguage, say } from "./words.js";

const SHOWN_MAX = 300;
const NEAR_BOTTOM_PX = 60;
const FOUND_MS = 1600;

export class Thread {
  #list;
  #jump;
  #tools;
  #rows = new Map();
  #key = null;
  #atBottom = true;

  /** tools: {render: text -> nodes, act: what can be done to a message}. */
  constructor(list, jump, tools) {
    this.#list = list;
    this.#jump = jump;
    this.#tools = { ...tools, goTo: (id) => this.#goTo(id) };
    jump.addEventListener("click", () => this.#toBottom());
    list.addEventListener("scroll", () => {
      this.#atBottom = this.#nearBottom();
      if (this.#atBottom) jump.hidden = true;
    });
    // A keyboard that opens, a window that shrinks or a picture that comes must not push the newest out of sight.
    const stay = () => this.#atBottom && this.#toBottom();
    new ResizeObserver(stay).observe(list);
    for (const name of ["load", "loadedmetadata"]) list.addEventListener(name, stay, { capture: true });
  }

  /** items: as items.js makes them. */
  show(key, items) {
    const wanted = `${currentLanguage()} ${key}`;
    const fresh = wanted !== this.#key;
    if (fresh) this.#startOver(wanted);
    const follow = fresh || this.#atBottom;
    const added = this.#lay(withDays(items.slice(-SHOWN_MAX), items.length - SHOWN_MAX));
    if (follow || added?.side === "out") this.#toBottom();
    else if (added) this.#jump.hidden = false;
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

  #lay(items) {
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
      updateRow(row, item, this.#tools);
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

  /** What was quoted comes to the middle and glows for a moment. */
  #goTo(id) {
    const row = this.#rows.get(id);
    if (!row) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    row.node.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
    row.node.classList.add("found");
    setTimeout(() => row.node.classList.remove("found"), FOUND_MS);
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

function dayName(at) {
  const day = moment(at);
  const days = Math.round((midnight(new Date()) - midnight(day)) / 86_400_000);
  if (days === 0) return say("today");
  if (days === 1) return say("yesterday");
  return day.toLocaleDateString(currentLanguage(), { day: "numeric", month: "long", year: "numeric" });
}

const midnight = (day) => new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime();
