// The operator's side: the portal's chats, one of them open, and what the operator answers.

import { ask } from "./control.js";
import { Composer, menuEntry } from "./composer.js";
import { build, clock } from "./dom.js";
import { chatItems, preview } from "./items.js";
import { bbcodeNodes } from "./markup.js";
import { chatKey, lastAt, statusesOnPhone } from "./pairing.js";
import { fill } from "./phone.js";
import { openMenu } from "./sheet.js";
import { Thread } from "./thread.js";
import { upload } from "./uploading.js";
import { say } from "./words.js";

const TONES = 6;

const $ = (id) => document.getElementById(id);

export class Line {
  #state = { phones: [], chats: [] };
  #pairs = null;
  #portal = null;
  #key = null;
  #first = true; // What stood there when the page opened is not news.
  #seen = new Map();
  #rows = new Map();
  #thread;
  #composer;
  #onTrouble;
  #onPick;

  constructor({ onTrouble, onPick }) {
    this.#onTrouble = onTrouble;
    this.#onPick = onPick;
    this.#composer = new Composer($("line-form"), $("line-input"), {
      text: (text, context) => this.#write(text, context),
      file: (...file) => this.#file(...file),
      menu: () => this.#attachments(),
    });
    const act = { menu: (item, anchor) => this.#openMenu(item, anchor) };
    this.#thread = new Thread($("line-messages"), $("line-jump"), { render: bbcodeNodes, act });
    $("line-portal").addEventListener("change", (event) => this.#enter(event.target.value));
  }

  get current() {
    return this.#state.chats.find((chat) => chatKey(chat) === this.#key) ?? null;
  }

  show(state, pairs) {
    this.#state = state;
    this.#pairs = pairs;
    if (this.#portal === null) this.#portal = this.#portals()[0] ?? null;
    this.#showPortals();
    this.#showChats();
    this.#showHead();
    this.#showMessages();
    this.#first = false;
  }

  /** chat may be null: the customer on the phone has none yet. */
  select(chat) {
    this.#key = chat && chatKey(chat);
    if (chat) this.#portal = chat.portal;
    if (this.#pairs) this.show(this.#state, this.#pairs);
  }

  #portals() {
    const named = (this.#state.portals ?? []).map((portal) => portal.portal ?? portal);
    return [...new Set(named.concat(this.#state.chats.map((chat) => chat.portal)))];
  }

  #chats() {
    const here = this.#state.chats.filter((chat) => chat.portal === this.#portal);
    return here.sort((a, b) => lastAt(b) - lastAt(a));
  }

  #lineName(chat) {
    const portal = (this.#state.portals ?? []).find((one) => one.portal === chat.portal);
    return portal?.lines?.find((line) => line.id === chat.line)?.name ?? chat.line;
  }

  #enter(portal) {
    this.#portal = portal;
    this.#pick(this.#chats()[0] ?? null);
  }

  #pick(chat) {
    this.select(chat);
    if (chat) this.#onPick(chat);
  }

  #showPortals() {
    const portals = this.#portals();
    const options = portals.length ? portals.map((portal) => [portal, portal]) : [["", say("noPortal")]];
    fill($("line-portal"), options, this.#portal ?? "");
  }

  #showChats() {
    const chats = this.#chats();
    const list = $("chat-list");
    const kept = new Set();
    chats.forEach((chat, at) => {
      const key = chatKey(chat);
      kept.add(key);
      if (!this.#rows.has(key)) this.#rows.set(key, this.#makeRow(key));
      const row = this.#rows.get(key);
      if (list.children[at] !== row.item) list.insertBefore(row.item, list.children[at] ?? null);
      this.#updateRow(row, chat, key);
    });
    for (const [key, row] of this.#rows) {
      if (kept.has(key)) continue;
      row.item.remove();
      this.#rows.delete(key);
    }
    $("chats-empty").hidden = chats.length > 0;
  }

  #makeRow(key) {
    const item = build("li");
    const button = build("button", "chat-row");
    button.type = "button";
    button.dataset.testid = "chat-row";
    const [avatar, last] = [build("span", "avatar"), build("span", "last")];
    const parts = { avatar, name: build("strong"), time: build("time"), last };
    parts.avatar.setAttribute("aria-hidden", "true");
    button.append(...Object.values(parts));
    button.addEventListener("click", () => this.#pick(this.#state.chats.find((chat) => chatKey(chat) === key) ?? null));
    item.append(button);
    return { item, button, ...parts };
  }

  #updateRow(row, chat, key) {
    const open = key === this.#key;
    const newest = chat.messages.at(-1);
    if (open || this.#first) this.#seen.set(key, chat.messages.length);
    const unread = chat.messages.length > (this.#seen.get(key) ?? 0);
    row.button.classList.toggle("unread", unread);
    row.button.setAttribute("aria-current", String(open));
    dress(row.avatar, chat.title);
    row.name.textContent = chat.title;
    row.time.textContent = newest ? clock(newest.at) : "";
    row.last.textContent = newest ? preview(chatItems({ messages: [newest] }, new Map())[0]) : "";
    row.last.title = unread ? say("unread") : "";
  }

  #showHead() {
    const chat = this.current;
    $("chat-head").hidden = !chat;
    $("line-input").disabled = $("line-send").disabled = !chat;
    if (!chat) return;
    dress($("chat-avatar"), chat.title);
    $("chat-title").textContent = chat.title;
    $("chat-place").textContent = say("chatPlace", { line: this.#lineName(chat), chat: chat.chat_id });
  }

  #showMessages() {
    const chat = this.current;
    const messages = chat?.messages ?? [];
    const onPhone = chat ? statusesOnPhone(chat, this.#pairs.phoneOf(chat)) : new Map();
    this.#thread.show(this.#key ?? "", chatItems(chat, onPhone));
    $("line-empty").hidden = messages.length > 0;
    $("line-empty").textContent = say(!chat && this.#chats().length ? "linePick" : "lineEmpty");
  }

  #letter() {
    const chat = this.current;
    const operator = $("operator-name").value.trim() || "Bia";
    return { portal: chat.portal, chat_id: chat.external_chat_id ?? chat.chat_id, operator };
  }

  #write(text, context) {
    const letter = this.#letter();
    if (context?.edit) return this.#call("operators/edit", { ...letter, message_id: context.edit.id, text });
    return this.#call("operators/write", { ...letter, text, ...quoting(context) });
  }

  #call(path, letter) {
    return this.#onTrouble(() => ask(path, "POST", letter));
  }

  #file(file, choice, caption, context) {
    const letter = { ...this.#letter(), text: caption, ...quoting(context) };
    return this.#onTrouble(async () => {
      const { id, type } = await upload(file, choice);
      await ask("operators/write", "POST", { ...letter, files: [{ id, type }] });
    });
  }

  #attachments() {
    const pick = (accept, choice) => () => this.#composer.pick(accept, choice);
    return [
      menuEntry("picture", say("attachMedia"), pick("image/*,video/*", {})),
      menuEntry("sound", say("attachAudio"), pick("audio/*", { as: "audio" })),
      menuEntry("document", say("attachDocument"), pick("", {})),
    ];
  }

  #openMenu(item, anchor) {
    const remove = () => this.#call("operators/delete", { ...this.#letter(), message_id: item.id });
    const deeds = {
      reply: menuEntry("reply", say("reply"), () => this.#composer.quote(item, preview(item))),
      edit: menuEntry("pencil", say("edit"), () => this.#composer.edit(item, item.text)),
      delete: menuEntry("bin", say("delete"), remove),
    };
    openMenu(anchor, item.acts.map((name) => deeds[name]), say("actions"));
  }
}

const quoting = (context) => (context?.quote ? { quotes: context.quote.id, quote_as: "named" } : {});

function dress(avatar, name) {
  const sum = [...name].reduce((total, letter) => (total * 31 + letter.codePointAt(0)) % 9973, 0);
  avatar.className = `avatar tone-${sum % TONES}`;
  avatar.textContent = [...name.trim()][0]?.toUpperCase() ?? "?";
}
