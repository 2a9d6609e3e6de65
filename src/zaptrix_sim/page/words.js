// The page's words: which language is spoken, and how a sentence is found and filled.

import { WORDS as ENGLISH } from "./words-en.js";
import { WORDS as PORTUGUESE } from "./words-pt-br.js";

export const WORDS = { "pt-BR": PORTUGUESE, en: ENGLISH };

const REMEMBERED = "zaptrix-sim-language";
let language = "pt-BR";

export const currentLanguage = () => language;

/** The sentence of that key in the current language; a key without a sentence shows itself. */
export function say(key, values = {}) {
  const sentence = WORDS[language][key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** ?lang= wins, then what was remembered, then pt-BR. */
export function chooseLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  setLanguage(known(asked) ?? known(recall()) ?? "pt-BR", asked !== null);
}

export function setLanguage(wanted, remember = true) {
  language = known(wanted) ?? "pt-BR";
  if (remember) keep(language);
  document.documentElement.lang = language;
  document.title = say("pageTitle");
  translateDocument();
}

function known(name) {
  if (!name) return null;
  return Object.keys(WORDS).find((code) => code.slice(0, 2) === name.toLowerCase().slice(0, 2)) ?? null;
}

const ATTRIBUTES = { wordLabel: "aria-label", wordPlaceholder: "placeholder", wordTitle: "title" };

function translateDocument() {
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const [field, attribute] of Object.entries(ATTRIBUTES)) {
    const selector = `[data-${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}]`;
    for (const element of document.querySelectorAll(selector)) {
      element.setAttribute(attribute, say(element.dataset[field]));
    }
  }
  for (const button of document.querySelectorAll("[data-lang]")) {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language));
  }
}

// A browser may forbid storage (private window, foreign frame): the page works without a memory then.
function recall() {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

function keep(value) {
  try {
    localStorage.setItem(REMEMBERED, value);
  } catch {
    // Not remembered, nothing else lost.
  }
}
