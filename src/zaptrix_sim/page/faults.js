// The drawer that breaks things on purpose: the list of faults of /control/faults.

import { ask } from "./control.js";
import { fill } from "./phone.js";
import { build } from "./dom.js";
import { say } from "./words.js";

const SIDES = ["meta", "bitrix24", "oauth"];
const WHERES = ["api", "webhook"];
const KINDS = {
  api: ["delay", "status", "throttle", "accept_then_hang", "accept_then_reset", "reset", "expired_token", "silence"],
  webhook: ["drop", "double", "delay", "reorder"],
};
const META_WEBHOOK_KINDS = ["status_first"]; // Receipts are Meta's; Bitrix24 has none to send early.
const TIMES_MAX = 100_000;

const $ = (id) => document.getElementById(id);

export class Faults {
  #faults = [];
  #seed = 1;
  #onTrouble;

  constructor({ onTrouble }) {
    this.#onTrouble = onTrouble;
    $("faults-open").addEventListener("click", () => this.#toggle($("faults").hidden));
    $("faults-close").addEventListener("click", () => this.#toggle(false));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !$("faults").hidden) this.#toggle(false);
    });
    $("fault-form").addEventListener("change", () => this.#showForm());
    $("fault-form").addEventListener("submit", (event) => this.#add(event));
    $("faults-clear").addEventListener("click", () => this.#change(() => ask("faults", "DELETE")));
    this.#showForm();
  }

  /** While one is on, every change may have used one of its times up. */
  get someOn() {
    return this.#faults.length > 0;
  }

  async refresh() {
    const answer = await ask("faults");
    this.#faults = (answer.faults ?? []).map(remaining).filter((fault) => fault.times !== 0);
    this.#seed = answer.seed ?? 1;
    this.show();
  }

  show() {
    this.#showForm();
    $("fault-list").replaceChildren(...this.#faults.map((fault, at) => this.#row(fault, at)));
    $("faults-none").hidden = this.#faults.length > 0;
    $("faults-clear").hidden = this.#faults.length === 0;
    $("faults-count").hidden = this.#faults.length === 0;
    $("faults-count").textContent = String(this.#faults.length);
  }

  #toggle(open) {
    $("faults").hidden = !open;
    $("faults-open").setAttribute("aria-expanded", String(open));
    (open ? $("fault-side") : $("faults-open")).focus();
  }

  #showForm() {
    const side = $("fault-side").value || SIDES[0];
    const wheres = side === "oauth" ? ["api"] : WHERES; // An OAuth server only answers.
    const where = wheres.includes($("fault-where").value) ? $("fault-where").value : wheres[0];
    const kinds = KINDS[where].concat(side === "meta" && where === "webhook" ? META_WEBHOOK_KINDS : []);
    const kind = kinds.includes($("fault-kind").value) ? $("fault-kind").value : kinds[0];
    fill($("fault-side"), SIDES.map((one) => [one, say(`side_${one}`)]), side);
    fill($("fault-where"), wheres.map((one) => [one, say(`where_${one}`)]), where);
    fill($("fault-kind"), kinds.map((one) => [one, say(`kind_${one}`)]), kind);
    $("fault-delay-field").hidden = kind !== "delay";
    $("fault-status-field").hidden = kind !== "status";
  }

  #add(event) {
    event.preventDefault();
    const kind = $("fault-kind").value;
    const times = Number($("fault-times").value);
    const fault = { side: $("fault-side").value, where: $("fault-where").value, match: {}, kind, probability: 1 };
    fault.times = times >= 1 ? Math.min(times, TIMES_MAX) : null;
    if (kind === "delay") fault.delay_s = Number($("fault-delay").value);
    if (kind === "status") fault.status = Number($("fault-status").value);
    this.#put([...this.#faults, fault]);
  }

  #put(faults) {
    return this.#change(() => ask("faults", "PUT", { seed: this.#seed, faults }));
  }

  #change(act) {
    return this.#onTrouble(async () => {
      await act();
      await this.refresh();
      // The button that was pressed may be gone with its fault: the keyboard's place stays in the drawer.
      if (document.activeElement === document.body) $("fault-side").focus();
    });
  }

  #row(fault, at) {
    const row = build("li", "fault");
    const what = build("span");
    what.append(build("strong", "", say(`kind_${fault.kind}`)));
    what.append(build("small", "", `${say(`side_${fault.side}`)}, ${say(`where_${fault.where}`)}`));
    const times = fault.times == null ? say("always") : say("timesLeft", { n: fault.times });
    const off = build("button", "quiet", say("faultOff"));
    off.type = "button";
    off.addEventListener("click", () => this.#put(this.#faults.filter((_, other) => other !== at)));
    row.append(what, build("span", "times", times), off);
    return row;
  }
}

/** A list that is put anew counts from nothing, so what a fault did already is taken off its times here. */
function remaining({ fired, ...fault }) {
  return fault.times == null ? fault : { ...fault, times: Math.max(0, fault.times - (fired ?? 0)) };
}
