// The simulator's page: a phone and an open line side by side, kept live by the simulator's stream of changes.

import { ask, atMostOneAtATime, Refused, watch } from "./control.js";
import { Faults } from "./faults.js";
import { Ledger } from "./ledger.js";
import { Line } from "./line.js";
import { Pairs, phoneKey } from "./pairing.js";
import { Phone } from "./phone.js";
import { chooseLanguage, currentLanguage, say, setLanguage } from "./words.js";

const LEDGER_REST_MS = 700;
const ALERT_MS = 6000;

const $ = (id) => document.getElementById(id);

chooseLanguage();
const phone = new Phone({ onTrouble: tellTrouble, onPick: () => followPhone() });
const line = new Line({ onTrouble: tellTrouble, onPick: (chat) => followChat(chat) });
const faults = new Faults({ onTrouble: tellTrouble });
const ledger = new Ledger();

let pairs = null;
let followed = ""; // The phone whose chat is open; a chat that someone opened by hand stays open.

const refreshState = atMostOneAtATime(quietly(async () => showState(await ask("state"))));
const refreshLedger = atMostOneAtATime(quietly(() => ledger.refresh()), LEDGER_REST_MS);
const refreshFaults = atMostOneAtATime(quietly(() => faults.refresh()));

watch({ onChange, onLamp: showLamp });

for (const button of document.querySelectorAll("[data-lang]")) {
  button.addEventListener("click", () => changeLanguage(button.dataset.lang));
}

function onChange(change) {
  if (change.type === "fault" || change.type === "connected" || faults.someOn) refreshFaults();
  if (change.type !== "fault") refreshState();
  refreshLedger();
}

let shown = null;

function showState(state) {
  shown = state;
  pairs = new Pairs(state);
  phone.show(state);
  line.show(state, pairs);
  const held = phone.current;
  if (!held || followed === phoneKey(held)) return;
  if (pairs.chatOf(held)) followPhone();
  else if (!line.current) line.select(onlyUnclaimed(state));
}

/** Opens the chat of the customer on the phone; none is open while there is none. */
function followPhone() {
  const held = phone.current;
  const chat = (held && pairs?.chatOf(held)) ?? null;
  followed = chat ? phoneKey(held) : "";
  line.select(chat);
}

function onlyUnclaimed(state) {
  const unclaimed = state.chats.filter((chat) => !pairs.phoneOf(chat));
  return unclaimed.length === 1 ? unclaimed[0] : null;
}

function followChat(chat) {
  const owner = pairs.phoneOf(chat);
  if (!owner) return;
  followed = phoneKey(owner);
  phone.select(owner);
}

function changeLanguage(wanted) {
  setLanguage(wanted);
  const address = new URL(location.href);
  address.searchParams.set("lang", currentLanguage());
  history.replaceState(null, "", address);
  if (shown) showState(shown);
  faults.show();
  ledger.show();
  showLamp($("connection").dataset.state);
}

function showLamp(state) {
  $("connection").dataset.state = state;
  $("connection-text").dataset.word = state;
  $("connection-text").textContent = say(state);
}

// What could not be fetched now is fetched at the next change or when the stream is back; the lamp tells it meanwhile.
function quietly(work) {
  return async () => {
    try {
      await work();
    } catch (trouble) {
      console.warn("zaptrix simulator page:", trouble);
    }
  };
}

let alertTimer = 0;

/** Runs act; false, and a sentence on the page, when it failed. */
async function tellTrouble(act) {
  try {
    await act();
    return true;
  } catch (trouble) {
    $("alert").textContent = trouble instanceof Refused ? say("refused", { why: trouble.message }) : say("unreachable");
    $("alert").hidden = false;
    clearTimeout(alertTimer);
    alertTimer = setTimeout(() => ($("alert").hidden = true), ALERT_MS);
    return false;
  }
}
