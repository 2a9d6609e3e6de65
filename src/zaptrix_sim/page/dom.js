// Small helpers to make elements; text only ever becomes text nodes.

import { currentLanguage } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

export function build(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** One of the shapes that stand in index.html. */
export function shape(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(document.createElementNS(SVG, "use"));
  reshape(drawing, name);
  return drawing;
}

export const reshape = (drawing, name) => drawing.firstChild.setAttribute("href", `#shape-${name}`);

/** A button that a form does not submit by. */
export function press(className, text, act) {
  const button = build("button", className, text);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

/** A button with a shape and no text. */
export function shapeButton(className, name, label, act) {
  const button = press(className, "", act);
  button.append(shape(name));
  button.setAttribute("aria-label", label);
  button.title = label;
  return button;
}

/** Opens elsewhere; an address that is no web address is no link. */
export function link(className, text, address) {
  const made = build(/^https?:\/\//i.test(address) ? "a" : "span", className, text);
  if (made.localName !== "a") return made;
  made.href = address;
  made.target = "_blank";
  made.rel = "noopener noreferrer";
  return made;
}

/** 1536 -> "1,5 KB" */
export function sizeText(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const amount = bytes / 1024 ** power;
  return `${amount.toLocaleString(currentLanguage(), { maximumFractionDigits: amount < 10 && power ? 1 : 0 })} ${units[power]}`;
}

/** 75.2 -> "1:15" */
export function lengthText(seconds) {
  const whole = Number.isFinite(seconds) ? Math.round(seconds) : 0;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A time of the simulator: unix seconds, unix milliseconds or ISO. */
export function moment(at) {
  if (typeof at === "number") return new Date(at < 1e11 ? at * 1000 : at);
  const read = new Date(at ?? Number.NaN);
  return Number.isNaN(read.getTime()) ? new Date(0) : read;
}

const HOURS = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

export const clock = (at) => moment(at).toLocaleTimeString(currentLanguage(), HOURS);
