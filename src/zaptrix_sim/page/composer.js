// A field that grows with its text, and what is sent beside words: files, a voice note, an answer to a message.

import { build, lengthText, press, shapeButton } from "./dom.js";
import { Recording } from "./recording.js";
import { openMenu } from "./sheet.js";
import { say } from "./words.js";

/**
 * Enter sends, Shift+Enter breaks the line. What is sent leaves one at a time, in the order in which it was made.
 *
 * deeds: {text(text, context), file(file, choice, caption, context), menu: () => entries, voice: bool}; each returns
 * whether it went well. context is {quote: item} or {edit: item} or null.
 */
export class Composer {
  #form;
  #field;
  #deeds;
  #strip;
  #context = null;
  #queue = Promise.resolve();
  #recording = null;

  constructor(form, field, deeds) {
    this.#form = form;
    this.#field = field;
    this.#deeds = deeds;
    this.#strip = build("div", "strip");
    this.#strip.hidden = true;
    form.prepend(this.#strip);
    form.addEventListener("submit", (event) => this.#submit(event));
    field.addEventListener("input", () => fit(field));
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.#submit(event);
      if (event.key === "Escape" && this.#context) this.release();
    });
    field.addEventListener("paste", (event) => this.#dropped(event, event.clipboardData));
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("drop", (event) => this.#dropped(event, event.dataTransfer));
    this.#tools();
  }

  /** The next words answer that message. */
  quote(item, words) {
    this.#hold({ quote: item }, say("answering"), words);
  }

  /** The next words take the place of that message's. */
  edit(item, words) {
    this.#hold({ edit: item }, say("editing"), words);
    this.#field.value = words;
    fit(this.#field);
  }

  release() {
    if (this.#context?.edit) this.#field.value = "";
    this.#context = null;
    this.#strip.hidden = true;
    this.#strip.replaceChildren();
    fit(this.#field);
  }

  /** The picker of the files of one kind; `choice` goes along with each. */
  pick(accept, choice, multiple = true) {
    const input = build("input");
    Object.assign(input, { type: "file", accept, multiple, hidden: true });
    input.addEventListener("change", () => {
      this.files([...input.files], choice);
      input.remove();
    });
    input.addEventListener("cancel", () => input.remove());
    input.dataset.testid = "file-input";
    this.#form.append(input);
    input.click();
  }

  /** What stands in the field is the first one's caption. */
  files(files, choice) {
    const [caption, context] = [this.#field.value.trim(), this.#context?.edit ? null : this.#context];
    if (!files.length || this.#field.disabled) return;
    this.#field.value = "";
    this.release();
    files.forEach((file, at) => this.#send(() => this.#deeds.file(file, choice, at ? "" : caption, at ? null : context)));
  }

  #tools() {
    const more = shapeButton("tool", "clip", say("attach"), () => openMenu(more, this.#deeds.menu(), say("attach")));
    more.dataset.testid = `${this.#field.dataset.testid.split("-")[0]}-attach`;
    more.dataset.wordLabel = more.dataset.wordTitle = "attach";
    more.setAttribute("aria-haspopup", "menu");
    this.#form.insertBefore(more, this.#field);
    if (!this.#deeds.voice) return;
    const mic = shapeButton("tool", "mic", say("record"), () => this.#record());
    mic.dataset.testid = "phone-record";
    mic.dataset.wordLabel = mic.dataset.wordTitle = "record";
    this.#field.after(mic);
  }

  #submit(event) {
    event.preventDefault();
    if (this.#recording) return this.#recording.finish();
    const [text, context] = [this.#field.value.trim(), this.#context];
    if (!text || this.#field.disabled) return;
    this.#field.value = "";
    this.release();
    this.#send(async () => {
      if (await this.#deeds.text(text, context)) return;
      // Refused: what was typed comes back, before anything typed since.
      this.#field.value = this.#field.value ? `${text}\n${this.#field.value}` : text;
      fit(this.#field);
    });
  }

  #send(deed) {
    this.#queue = this.#queue.then(deed);
  }

  #dropped(event, data) {
    const files = [...(data?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.files(files, {});
  }

  #hold(context, title, words) {
    this.release();
    this.#context = context;
    const said = build("span", "strip-words");
    said.append(build("strong", "", title), build("span", "", words));
    this.#strip.replaceChildren(said, shapeButton("strip-close", "close", say("cancel"), () => this.release()));
    this.#strip.hidden = false;
    this.#field.focus();
  }

  /** Where nothing can be recorded, a file is asked for. */
  async #record() {
    const recording = await Recording.start().catch(() => null);
    if (!recording) return this.pick("audio/*", { voice: true }, false);
    this.release();
    this.#recording = recording;
    const time = build("span", "strip-words", lengthText(0));
    time.setAttribute("role", "timer");
    const done = press("primary", say("sendVoice"), () => recording.finish());
    done.dataset.testid = "record-send";
    this.#strip.replaceChildren(
      build("span", "record-lamp"),
      time,
      shapeButton("strip-close", "bin", say("cancel"), () => recording.cancel()),
      done,
    );
    this.#strip.hidden = false;
    recording.onSecond = (seconds) => (time.textContent = lengthText(seconds));
    const sound = await recording.ended;
    this.#recording = null;
    this.release();
    if (sound) this.files([sound], { voice: true });
  }
}

/** Its height counts the border, which the height of its content does not. */
function fit(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}

export const menuEntry = (name, label, act) => ({ shape: name, label, act });
