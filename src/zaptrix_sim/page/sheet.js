// What opens over the page: a picture in full, a form to fill in, a list to choose from. Escape and a click beside close.

import { build, press, shapeButton } from "./dom.js";
import { say } from "./words.js";

/** A picture as large as the window lets it be. */
export function showLarge(file, caption) {
  const dialog = open("large", caption || file.name || say("kind_of_image"));
  const img = build("img");
  img.src = `/control/files/${encodeURIComponent(file.id)}`;
  img.alt = caption || say("kind_of_image");
  const keep = build("a", "quiet", say("save"));
  keep.href = `${img.src}?download`;
  keep.download = file.name || "";
  dialog.body.append(img);
  dialog.foot.append(keep);
  return dialog.closed;
}

/** fields: [{name, label, type, value, required, ...}]; the values by name, or null when it was closed. */
export function askFor(title, fields, verb) {
  const dialog = open("form", title);
  const form = build("form");
  form.autocomplete = "off";
  let filled = null;
  for (const field of fields) form.append(makeField(field));
  const done = build("button", "primary wide", verb);
  done.type = "submit";
  form.append(done);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filled = Object.fromEntries(new FormData(form));
    dialog.close();
  });
  dialog.body.append(form);
  form.querySelector("input")?.focus();
  return dialog.closed.then(() => filled);
}

function makeField({ name, label, type = "text", value = "", ...rest }) {
  const holder = build("label", rest.wide ? "wide" : "");
  const input = build("input");
  Object.assign(input, { name, type, value, required: Boolean(rest.required) });
  for (const limit of ["min", "max", "step", "maxLength", "placeholder"]) if (rest[limit]) input[limit] = rest[limit];
  holder.append(build("span", "", label), input);
  return holder;
}

/** sections: [{title, rows: [{id, title, description}]}]; the row that was chosen, or null. */
export function choose(title, sections, verb) {
  const dialog = open("choices", title);
  const form = build("form");
  let chosen = null;
  for (const section of sections) {
    const group = build("fieldset");
    if (section.title) group.append(build("legend", "", section.title));
    for (const row of section.rows) group.append(choice(row, () => (done.disabled = false)));
    form.append(group);
  }
  const done = build("button", "primary wide", verb);
  done.type = "submit";
  done.disabled = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = new FormData(form).get("row");
    chosen = sections.flatMap((section) => section.rows).find((row) => row.id === id) ?? null;
    dialog.close();
  });
  form.append(done);
  dialog.body.append(form);
  return dialog.closed.then(() => chosen);
}

function choice(row, onChange) {
  const label = build("label", "choice");
  const input = build("input");
  Object.assign(input, { type: "radio", name: "row", value: row.id });
  input.addEventListener("change", onChange);
  const words = build("span");
  words.append(build("strong", "", row.title));
  if (row.description) words.append(build("small", "", row.description));
  label.append(words, input);
  return label;
}

function open(kind, title) {
  const dialog = build("dialog", `sheet sheet-${kind}`);
  dialog.dataset.testid = "sheet";
  dialog.setAttribute("aria-label", title);
  const head = build("div", "sheet-head");
  const [body, foot] = [build("div", "sheet-body"), build("div", "sheet-foot")];
  head.append(build("h2", "", title), shapeButton("square", "close", say("close"), () => dialog.close()));
  dialog.append(head, body, foot);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  const closed = new Promise((done) => dialog.addEventListener("close", () => done(dialog.remove())));
  document.body.append(dialog);
  dialog.showModal();
  return { body, foot, closed, close: () => dialog.close() };
}

// --- menus -----------------------------------------------------------------------------------------------------------

/** entries: [{label, shape, act, emoji}]; emojis stand in one row. It opens beside `anchor`, and arrows walk in it. */
export function openMenu(anchor, entries, label) {
  const menu = build("div", "menu");
  menu.popover = "auto";
  menu.dataset.testid = "menu";
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", label);
  const emojis = build("div", "emojis");
  for (const entry of entries) {
    const item = entryButton(entry, () => menu.hidePopover());
    (entry.emoji ? emojis : menu).append(item);
  }
  if (emojis.children.length) menu.prepend(emojis);
  menu.addEventListener("keydown", (event) => walk(event, menu));
  menu.addEventListener("toggle", (event) => event.newState === "closed" && menu.remove());
  document.body.append(menu);
  menu.showPopover();
  stand(menu, anchor.getBoundingClientRect());
  menu.querySelector("button")?.focus();
}

function entryButton(entry, close) {
  const item = entry.shape
    ? shapeButton("menu-item", entry.shape, entry.label, () => {})
    : press("menu-item", entry.emoji ?? "", () => {});
  item.setAttribute("role", "menuitem");
  if (entry.shape) {
    item.removeAttribute("title");
    item.append(entry.label);
  } else {
    item.setAttribute("aria-label", entry.label);
    item.setAttribute("aria-pressed", String(Boolean(entry.on)));
  }
  item.addEventListener("click", () => {
    close();
    entry.act();
  });
  return item;
}

function walk(event, menu) {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...menu.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  items[(at + step + items.length) % items.length].focus();
}

/** Above or below, where there is room, and never out of the window. */
function stand(menu, box) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left), innerWidth - width - 8);
  const top = box.top - height - 6 > 8 ? box.top - height - 6 : Math.min(box.bottom + 6, innerHeight - height - 8);
  menu.style.left = `${left}px`;
  menu.style.top = `${top}px`;
}
