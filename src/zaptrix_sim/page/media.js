// Pictures, videos, sounds and documents inside a bubble, from the bytes that the simulator holds.

import { build, lengthText, link, press, reshape, shape, sizeText } from "./dom.js";
import { showLarge } from "./sheet.js";
import { say } from "./words.js";

const PICTURE_MAX = 8 * 1024 * 1024; // Beyond it nothing is loaded before somebody asks for it.
const PLAYER_MAX = 32 * 1024 * 1024;
const WAVE_MAX = 1024 * 1024;
const BARS = 34;
const LOW = 0.12;

export const fileAddress = (file) => `/control/files/${encodeURIComponent(file.id)}`;

/** onPlay is called when somebody listens. */
export function mediaNode(file, { kind, voice, caption, onPlay }) {
  const make = voice ? voiceNote : MAKERS[kind];
  return make ? make(file, { caption, onPlay }) : documentCard(file);
}

const MAKERS = { image: picture, sticker, video, audio: sound };

function picture(file, { caption }) {
  if (file.size > PICTURE_MAX) return onDemand(file, () => picture({ ...file, size: 0 }, { caption }));
  const button = press("picture", "", () => showLarge(file, caption));
  button.setAttribute("aria-label", say("openLarge", { what: caption || say("kind_of_image") }));
  button.append(image(file, caption || say("kind_of_image"), button));
  return button;
}

function sticker(file) {
  const frame = build("div", "sticker");
  frame.append(image(file, say("kind_of_sticker"), frame));
  return frame;
}

function image(file, alt, frame) {
  const img = build("img");
  img.alt = alt;
  img.decoding = "async";
  img.addEventListener("error", () => frame.replaceWith(documentCard(file)));
  img.src = fileAddress(file);
  return img;
}

function onDemand(file, make) {
  const button = press("demand", say("loadFile", { size: sizeText(file.size) }), () => button.replaceWith(make()));
  button.prepend(shape("download"));
  return button;
}

function player(name, file) {
  const made = build(name);
  made.controls = true;
  made.preload = file.size > PLAYER_MAX ? "none" : "metadata";
  made.src = fileAddress(file);
  made.setAttribute("aria-label", file.name || say(`kind_of_${name}`));
  return made;
}

function video(file) {
  const frame = build("div", "video");
  const made = player("video", file);
  made.playsInline = true;
  made.addEventListener("error", () => frame.replaceWith(documentCard(file)));
  frame.append(made);
  return frame;
}

function sound(file, { onPlay }) {
  const frame = build("div", "sound");
  const made = player("audio", file);
  made.addEventListener("play", () => onPlay?.());
  made.addEventListener("error", () => frame.replaceWith(documentCard(file)));
  if (file.name) frame.append(build("span", "sound-name", file.name));
  frame.append(made);
  return frame;
}

// --- voice notes -----------------------------------------------------------------------------------------------------

let playing = null; // One at a time, as on a phone.

function voiceNote(file, { onPlay }) {
  const frame = build("div", "voice");
  frame.dataset.testid = "voice";
  const audio = new Audio();
  audio.preload = "metadata";
  audio.src = fileAddress(file);
  const toggle = press("voice-play", "", () => (audio.paused ? audio.play() : audio.pause()));
  toggle.append(shape("play"));
  const place = build("input", "voice-place");
  Object.assign(place, { type: "range", min: 0, max: 1000, value: 0 });
  place.setAttribute("aria-label", say("voicePlace"));
  const time = build("span", "voice-time", lengthText(0));
  const wave = build("span", "wave");
  wave.setAttribute("aria-hidden", "true");
  const show = () => showVoice({ audio, toggle, place, time, wave });
  for (const name of ["play", "pause", "timeupdate", "loadedmetadata", "durationchange", "ended"]) {
    audio.addEventListener(name, show);
  }
  audio.addEventListener("play", () => {
    if (playing !== audio) playing?.pause();
    playing = audio;
    onPlay?.();
  });
  audio.addEventListener("error", () => frame.replaceWith(documentCard(file)));
  place.addEventListener("input", () => {
    if (Number.isFinite(audio.duration)) audio.currentTime = (place.value / 1000) * audio.duration;
  });
  const mic = build("span", "voice-mic");
  mic.append(shape("mic"));
  const track = build("span", "voice-track");
  track.append(wave, place);
  frame.append(toggle, track, time, mic);
  show();
  drawWave(file, wave).then(show, () => {}); // Without its wave it is a plain line, and plays as well.
  return frame;
}

function showVoice({ audio, toggle, place, time, wave }) {
  const part = audio.duration > 0 && Number.isFinite(audio.duration) ? audio.currentTime / audio.duration : 0;
  place.value = Math.round(part * 1000);
  place.setAttribute("aria-valuetext", lengthText(audio.currentTime));
  time.textContent = lengthText(audio.currentTime > 0 ? audio.currentTime : audio.duration);
  toggle.setAttribute("aria-label", say(audio.paused ? "play" : "pause"));
  reshape(toggle.firstChild, audio.paused ? "play" : "pause");
  [...wave.children].forEach((bar, at) => bar.classList.toggle("heard", at < part * wave.children.length));
}

/** How loud it is along its way, as bars. */
async function drawWave(file, wave) {
  if (file.size > WAVE_MAX) return;
  const answer = await fetch(fileAddress(file));
  const heard = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await answer.arrayBuffer());
  const samples = heard.getChannelData(0);
  const step = Math.max(1, Math.floor(samples.length / BARS));
  const peaks = Array.from({ length: BARS }, (_, at) => peak(samples, at * step, step));
  const most = Math.max(...peaks) || 1;
  wave.replaceChildren(
    ...peaks.map((one) => {
      const bar = build("i");
      bar.style.height = `${Math.round(Math.max(LOW, one / most) * 100)}%`;
      return bar;
    }),
  );
}

function peak(samples, from, count) {
  let most = 0;
  for (let at = from; at < from + count && at < samples.length; at += 8) most = Math.max(most, Math.abs(samples[at]));
  return most;
}

// --- documents -------------------------------------------------------------------------------------------------------

/** A file that somebody else holds: its address opens elsewhere, and nothing of it is loaded here. */
export function attachedCard({ NAME, LINK, SIZE }) {
  const card = link("document attached", "", LINK ?? "");
  card.append(endingBadge(NAME ?? "", ""), build("strong", "document-words", NAME || LINK));
  if (SIZE) card.append(build("small", "", sizeText(Number(SIZE))));
  card.append(shape("out"));
  return card;
}

const ENDING = /\.([a-z0-9]{1,5})$/i;

export function documentCard(file) {
  const card = build("a", "document");
  card.href = `${fileAddress(file)}?download`;
  card.download = file.name || "";
  const name = file.name || say("kind_of_document");
  const badge = endingBadge(file.name ?? "", file.mime);
  const words = build("span", "document-words");
  words.append(build("strong", "", name), build("small", "", `${sizeText(file.size)} · ${file.mime.split(";")[0]}`));
  card.append(badge, words, shape("download"));
  card.setAttribute("aria-label", say("download", { what: name, size: sizeText(file.size) }));
  return card;
}

function endingBadge(name, mime) {
  const ending = ENDING.exec(name)?.[1] ?? mime.split("/").pop().slice(0, 5);
  const badge = build("span", "ending", ending.toUpperCase());
  badge.setAttribute("aria-hidden", "true");
  return badge;
}
