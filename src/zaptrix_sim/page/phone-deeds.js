// What the customer does on the phone beside writing: each deed is one call of /control.

import { ask } from "./control.js";
import { menuEntry } from "./composer.js";
import { preview } from "./items.js";
import { askFor, choose, openMenu } from "./sheet.js";
import { upload } from "./uploading.js";
import { say } from "./words.js";

const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const PLACE = { latitude: -25.4296, longitude: -49.2719, name: "Praça Osório", address: "Centro, Curitiba" };
const FRIEND = { name: "Beto Lima", phone: "+55 41 97777-6666" };

export class PhoneDeeds {
  #who;
  #send;
  #onTrouble;
  composer = null;

  /** who(): who writes on which number; send(path, letter): one call, after which the page follows it. */
  constructor({ who, send, onTrouble }) {
    this.#who = who;
    this.#send = send;
    this.#onTrouble = onTrouble;
  }

  // --- from the field ------------------------------------------------------------------------------------------------

  text(text, context) {
    if (context?.edit) return this.#say({ kind: "edit", to: context.edit.id, text });
    if (context?.quote) return this.#say({ kind: "text", text, quotes: context.quote.id });
    return this.#send("customers/write", { ...this.#who(), text });
  }

  async file(file, choice, caption, context) {
    let letter = null;
    const uploaded = await this.#onTrouble(async () => {
      const { id, type } = await upload(file, choice);
      const media = { id, type, voice: Boolean(choice.voice) };
      letter = { ...this.#letter(), media, text: caption, quotes: context?.quote.id };
    });
    return uploaded && this.#send("customers/send", letter);
  }

  menu() {
    const pick = (accept, choice) => () => this.composer.pick(accept, choice);
    return [
      menuEntry("picture", say("attachMedia"), pick("image/*,video/*", {})),
      menuEntry("document", say("attachDocument"), pick("", { as: "document" })),
      menuEntry("sound", say("attachAudio"), pick("audio/*", { as: "audio" })),
      menuEntry("mic", say("attachVoice"), pick("audio/*", { voice: true })),
      menuEntry("sticker", say("attachSticker"), pick("image/*", { as: "sticker" })),
      menuEntry("pin", say("attachLocation"), () => this.#location()),
      menuEntry("person", say("attachContact"), () => this.#contact()),
    ];
  }

  async #location() {
    const place = await askForPlace();
    if (place) this.#say({ kind: "location", ...place });
  }

  async #contact() {
    const fields = [
      { name: "name", label: say("name"), value: FRIEND.name, required: true, wide: true },
      { name: "phone", label: say("phoneNumber"), value: FRIEND.phone, required: true, wide: true },
    ];
    const card = await askFor(say("attachContact"), fields, say("send"));
    if (card) this.#say({ kind: "contacts", ...card });
  }

  // --- on a message --------------------------------------------------------------------------------------------------

  openMenu(item, anchor) {
    const mine = item.reactions.find((one) => one.by === "own")?.emoji;
    const entries = EMOJIS.map((emoji) => ({
      emoji,
      on: emoji === mine,
      label: say(emoji === mine ? "takeBack" : "reactWith", { emoji }),
      act: () => this.react(item, emoji === mine ? "" : emoji),
    }));
    const deeds = {
      reply: menuEntry("reply", say("reply"), () => this.composer.quote(item, preview(item))),
      edit: menuEntry("pencil", say("edit"), () => this.composer.edit(item, item.text)),
      delete: menuEntry("bin", say("delete"), () => this.#say({ kind: "revoke", to: item.id })),
    };
    const others = item.acts.filter((name) => name in deeds).map((name) => deeds[name]);
    openMenu(anchor, entries.concat(others), say("actions"));
  }

  react(item, emoji) {
    return this.#say({ kind: "reaction", to: item.id, emoji });
  }

  played(item) {
    if (item.own || !item.voice || item.status === "played") return;
    const { phone_number_id, from } = this.#who();
    ask("customers/play", "POST", { phone_number_id, from, to: item.id }).catch(() => {});
  }

  press(item, button) {
    return this.#say({ kind: "template_button", title: button.text, id: button.payload, quotes: item.id });
  }

  answer(item, choice) {
    return this.#answer(item, { choice });
  }

  async choose(item, action) {
    const row = await choose(action.button, action.sections, say("send"));
    if (row) await this.#answer(item, { choice: row.id });
  }

  async giveLocation(item) {
    const place = await askForPlace();
    if (place) await this.#answer(item, place);
  }

  /** What the form asks stands at Meta, not in the message: two fields stand for it. */
  async fillIn(item, parameters) {
    const fields = [
      { name: say("name").toLowerCase(), label: say("name"), required: true, wide: true },
      { name: say("note").toLowerCase(), label: say("note"), wide: true },
    ];
    const response = await askFor(parameters.flow_cta, fields, say("send"));
    if (response) await this.#answer(item, { response });
  }

  #answer(item, what) {
    const { phone_number_id, from } = this.#who();
    return this.#send("customers/answer", { phone_number_id, from, to: item.id, ...what });
  }

  #say(what) {
    return this.#send("customers/send", { ...this.#letter(), ...what });
  }

  /** `name` is a place's or a contact's here; the customer's own has another. */
  #letter() {
    const { name, ...who } = this.#who();
    return { ...who, customer_name: name };
  }
}

async function askForPlace() {
  const number = { type: "number", step: "any", required: true };
  const fields = [
    { name: "name", label: say("name"), value: PLACE.name, wide: true },
    { name: "address", label: say("address"), value: PLACE.address, wide: true },
    { name: "latitude", label: say("latitude"), value: PLACE.latitude, min: "-90", max: "90", ...number },
    { name: "longitude", label: say("longitude"), value: PLACE.longitude, min: "-180", max: "180", ...number },
  ];
  return askFor(say("attachLocation"), fields, say("send"));
}
