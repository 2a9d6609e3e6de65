// The strip at the bottom: the simulator's own account of what was written and what arrived.

import { ask } from "./control.js";
import { build } from "./dom.js";
import { say } from "./words.js";

const LISTED_MAX = 50;

const $ = (id) => document.getElementById(id);

export class Ledger {
  #account = null;

  async refresh() {
    this.#account = await ask("ledger");
    this.show();
  }

  show() {
    const account = this.#account;
    if (!account) return;
    // A message on its way is no violation of anything, only not finished.
    const broken = account.violations.filter((violation) => violation.kind !== "not_drained");
    const waiting = account.violations.filter((violation) => violation.kind === "not_drained");
    $("ledger").dataset.ok = String(broken.length === 0);
    sayVerdict($("ledger-verdict"), broken);
    write($("ledger-inbound"), say("ledgerInbound", { wrote: account.customers_wrote, arrived: account.in_chats }));
    write($("ledger-outbound"), sayOutbound(account));
    $("ledger-waiting").hidden = waiting.length === 0;
    write($("ledger-waiting"), say("waiting", { n: howMany(waiting) }));
    $("ledger-details").hidden = broken.length === 0;
    $("ledger-violations").replaceChildren(...broken.slice(0, LISTED_MAX).map(violationRow));
  }
}

/** The three numbers that matter, and any other kind of violation by its name after them. */
function sayVerdict(place, broken) {
  const count = (kind) => howMany(broken.filter((violation) => violation.kind === kind));
  const main = { lost: count("lost"), doubled: count("doubled"), disordered: count("disordered") };
  const others = [...new Set(broken.map((violation) => violation.kind))].filter((kind) => !(kind in main));
  const rest = others.map((kind) => ` · ${count(kind)} ${say(`violation_${kind}`)}`);
  write(place, say("verdict", main) + rest.join(""));
}

/** What WhatsApp refused is told, or its absence on the phone would look like a loss. */
function sayOutbound(account) {
  const refused = account.counts?.refused ?? 0;
  const told = say("ledgerOutbound", { wrote: account.operators_wrote, arrived: account.on_phones });
  return refused ? told + say("ledgerRefused", { n: refused }) : told;
}

const howMany = (violations) => violations.reduce((sum, violation) => sum + Math.max(1, violation.ids?.length ?? 1), 0);

/** Untouched when unchanged: a status region speaks on every write. */
function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function violationRow(violation) {
  const row = build("li");
  row.append(build("strong", "", say(`violation_${violation.kind}`)), ` ${violation.detail}`);
  return row;
}
