// The customer's phone: who holds it, what it shows, what it writes and reads.

import { ask } from "./control.js";
import { Composer } from "./composer.js";
import { phoneItems } from "./items.js";
import { whatsappNodes } from "./markup.js";
import { customerId, lastAt, phoneKey } from "./pairing.js";
import { PhoneDeeds } from "./phone-deeds.js";
import { moment } from "./dom.js";
import { Thread } from "./thread.js";
import { currentLanguage, say } from "./words.js";

const FIRST_NUMBER = "210987654321098"; // The demo world's number, for a world that has none yet.
const FIRST_CUSTOMER = { wa_id: "554188887777", user_id: null, name: "Ana Souza" };
const DIGITS = /^\d{8,15}$/;
const AGE_HOURS = 25;
const TOLD_MS = 4000;

const $ = (id) => document.getElementById(id);

export class Phone {
  #state = { phones: [], chats: [] };
  #number = null;
  #customer = null;
  #chosen = false;
  #strangers = [];
  #unreadSeen = "";
  #firstWords = null; // The id of the first message of somebody the simulator did not know yet.
  #thread;
  #deeds;
  #typingEnds = 0;
  #onTrouble;
  #onPick;

  constructor({ onTrouble, onPick }) {
    this.#onTrouble = onTrouble;
    this.#onPick = onPick;
    const deeds = new PhoneDeeds({ who: () => this.#who(), send: (path, letter) => this.#send(path, letter), onTrouble });
    const composer = new Composer($("phone-form"), $("phone-input"), {
      text: (text, context) => deeds.text(text, context),
      file: (...file) => deeds.file(...file),
      menu: () => deeds.menu(),
      voice: true,
    });
    this.#deeds = deeds;
    this.#deeds.composer = composer;
    this.#thread = new Thread($("phone-messages"), $("phone-jump"), { render: whatsappNodes, act: phoneActs(deeds) });
    $("phone-number").addEventListener("change", (event) => this.#pick(event.target.value, null));
    $("phone-customer").addEventListener("change", (event) => this.#pick(this.#number, event.target.value));
    $("customer-new").addEventListener("click", () => this.#toggleForm($("customer-form").hidden));
    $("customer-form").addEventListener("submit", (event) => this.#meet(event));
    $("customer-wa").addEventListener("input", (event) => event.target.setCustomValidity(""));
    $("phone-reads").addEventListener("change", () => this.#read());
    $("customer-ages").addEventListener("click", (event) => this.#age(event.currentTarget));
    document.addEventListener("visibilitychange", () => this.#read());
  }

  /** The phone of the current number and customer; null as long as nothing was written on it. */
  get current() {
    return this.#phones().find((phone) => customerId(phone) === this.#customer) ?? null;
  }

  show(state) {
    this.#state = state;
    this.#recognise();
    this.#settle();
    this.#showPickers();
    this.#showMessages();
    this.#read();
    $("phone-side").inert = false; // Until it is known whose phone this is, nobody can write on it.
  }

  select(phone) {
    this.#chosen = true;
    this.#number = phone.phone_number_id;
    this.#customer = customerId(phone);
    this.show(this.#state);
  }

  /** WhatsApp may know a new customer by another number than was typed (Brazil's ninth digit): follow the message. */
  #recognise() {
    const words = this.#firstWords;
    const phone = words && this.#state.phones.find((one) => one.messages.some((message) => message.id === words));
    if (!phone) return;
    this.#strangers = this.#strangers.filter((one) => one.wa_id !== this.#customer);
    this.#customer = customerId(phone);
    this.#firstWords = null;
  }

  /** Until someone chooses, the phone in hand is the one that was used last. */
  #settle() {
    if (this.#chosen || this.current) return;
    const latest = [...this.#state.phones].sort((a, b) => lastAt(b) - lastAt(a))[0];
    this.#number = latest?.phone_number_id ?? this.#numbers()[0].phone_number_id;
    this.#customer = latest ? customerId(latest) : FIRST_CUSTOMER.wa_id;
  }

  #phones() {
    return this.#state.phones.filter((phone) => phone.phone_number_id === this.#number);
  }

  #numbers() {
    const known = new Map((this.#state.numbers ?? []).map((number) => [number.phone_number_id, number]));
    for (const { phone_number_id } of this.#state.phones) {
      if (!known.has(phone_number_id)) known.set(phone_number_id, { phone_number_id });
    }
    if (!known.size) known.set(FIRST_NUMBER, { phone_number_id: FIRST_NUMBER });
    return [...known.values()];
  }

  #customers() {
    const known = this.#phones().map((phone) => phone.customer);
    const ids = new Set(known.map((customer) => customer.wa_id || customer.user_id));
    const others = this.#strangers.concat(known.length ? [] : [FIRST_CUSTOMER]);
    return known.concat(others.filter((customer) => !ids.has(customer.wa_id)));
  }

  #pick(number, customer) {
    this.#chosen = true;
    this.#number = number;
    this.#customer = customer ?? idOf(this.#customers()[0]);
    this.#toggleForm(false);
    this.show(this.#state);
    this.#onPick();
  }

  #showPickers() {
    const numbers = this.#numbers();
    fill($("phone-number"), numbers.map((one) => [one.phone_number_id, numberName(one)]), this.#number);
    fill($("phone-customer"), this.#customers().map((one) => [idOf(one), customerName(one)]), this.#customer);
    const number = numbers.find((one) => one.phone_number_id === this.#number);
    $("business-name").textContent = number ? numberName(number) : "WhatsApp";
  }

  #showMessages() {
    const items = phoneItems(this.current, $("business-name").textContent);
    this.#thread.show(`${this.#number} ${this.#customer}`, items);
    $("phone-empty").hidden = items.length > 0;
    this.#showTyping();
  }

  /** The business types for a while, and then it does not: nobody tells when that ends. */
  #showTyping() {
    const left = moment(this.current?.typing_until ?? 0) - new Date();
    $("business-kind").dataset.word = left > 0 ? "typing" : "businessAccount";
    $("business-kind").textContent = say($("business-kind").dataset.word);
    clearTimeout(this.#typingEnds);
    if (left > 0) this.#typingEnds = setTimeout(() => this.show(this.#state), left + 50);
  }

  #who() {
    const customer = this.#customers().find((one) => idOf(one) === this.#customer) ?? FIRST_CUSTOMER;
    const who = { phone_number_id: this.#number, from: idOf(customer), name: customer.name };
    if (customer.user_id) who.user_id = customer.user_id;
    return who;
  }

  async #send(path, letter) {
    this.#chosen = true;
    return this.#onTrouble(async () => {
      const { wamids } = await ask(path, "POST", letter);
      if (!this.current) this.#firstWords = wamids?.[0] ?? null;
      this.show(this.#state);
    });
  }

  /** What is on the screen is read: once for each new set of unread messages, and never while nobody looks. */
  #read() {
    const phone = this.current;
    if (!phone || document.hidden || !$("phone-reads").checked) return;
    const unread = phone.messages.filter((one) => one.from === "business" && isOnPhone(one) && !SEEN.has(one.status));
    const seen = unread.length ? `${phoneKey(phone)} ${unread.map(seenAs)}` : "";
    if (!seen || seen === this.#unreadSeen) return;
    this.#unreadSeen = seen;
    const reader = { phone_number_id: phone.phone_number_id, from: customerId(phone) };
    ask("customers/read", "POST", reader).catch(() => {
      this.#unreadSeen = ""; // The next change tries again.
    });
  }

  /** Past 24 hours after the customer's last text WhatsApp refuses what an operator writes. */
  async #age(button) {
    const customer = { phone_number_id: this.#number, from: this.#customer, hours: AGE_HOURS };
    if (!(await this.#onTrouble(() => ask("customers/age", "POST", customer)))) return;
    button.textContent = say("windowClosed");
    setTimeout(() => (button.textContent = say("windowClose")), TOLD_MS);
  }

  #toggleForm(open) {
    $("customer-form").hidden = !open;
    $("customer-new").setAttribute("aria-expanded", String(open));
    if (open) $("customer-name").focus();
  }

  #meet(event) {
    event.preventDefault();
    const wa = $("customer-wa").value.replace(/[\s()+.-]/g, "");
    if (!DIGITS.test(wa)) {
      $("customer-wa").setCustomValidity(say("phoneNumberWrong"));
      $("customer-wa").reportValidity();
      return;
    }
    this.#strangers = this.#strangers.filter((one) => one.wa_id !== wa);
    this.#strangers.push({ wa_id: wa, user_id: null, name: $("customer-name").value.trim() });
    event.target.reset();
    this.#pick(this.#number, wa);
    $("phone-input").focus();
  }
}

const idOf = (customer) => customer.wa_id || customer.user_id;
const seenAs = (message) => `${message.id} ${message.status}`;
const isOnPhone = (message) => message.status !== "failed" && message.type !== "reaction";
const SEEN = new Set(["read", "played"]);

const phoneActs = (deeds) => ({
  menu: (item, anchor) => deeds.openMenu(item, anchor),
  react: (item, emoji) => deeds.react(item, emoji),
  played: (item) => deeds.played(item),
  press: (item, button) => deeds.press(item, button),
  answer: (item, choice) => deeds.answer(item, choice),
  choose: (item, action) => deeds.choose(item, action),
  giveLocation: (item) => deeds.giveLocation(item),
  fillIn: (item, parameters) => deeds.fillIn(item, parameters),
});

const customerName = (one) => [one.name, pretty(one.wa_id)].filter(Boolean).join(" · ") || one.user_id;
const numberName = (number) => pretty(number.display_phone_number) || number.phone_number_id;

/** 554188887777 -> +55 41 8888-7777; other countries are left as they are. */
function pretty(digits) {
  if (!digits) return "";
  const brazil = /^\+?55(\d{2})(\d{4,5})(\d{4})$/.exec(digits.replace(/[\s()-]/g, ""));
  return brazil ? `+55 ${brazil[1]} ${brazil[2]}-${brazil[3]}` : `+${digits.replace(/^\+/, "")}`;
}

/** Options are rebuilt only when they differ: an open list must not close under somebody's hand. */
export function fill(select, options, chosen) {
  const wanted = JSON.stringify([currentLanguage(), options]);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map(([value, label]) => new Option(label, value)));
  }
  select.value = chosen ?? "";
}
