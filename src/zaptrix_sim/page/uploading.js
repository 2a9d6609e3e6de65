// A chosen file -> a file that the simulator holds, ready to be sent by either side.

import { Refused } from "./control.js";

const STICKER_PX = 512; // WhatsApp's own measure: https://faq.whatsapp.com/1056840314992666

/** choice: {as: a kind, voice: bool}. Answers {id, name, mime, type, size}, as the simulator tells of files. */
export async function upload(file, choice = {}) {
  const type = choice.as ?? kindOf(file.type);
  const body = type === "sticker" ? await asSticker(file) : file;
  const told = new URLSearchParams({ name: body.name ?? file.name, mime: body.type || "application/octet-stream", type });
  if (choice.voice) told.set("voice", "1");
  const response = await fetch(`/control/files?${told}`, { method: "POST", body });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error ?? `HTTP ${response.status}`);
  return answer;
}

function kindOf(mime) {
  const family = mime.split("/")[0];
  return ["image", "video", "audio"].includes(family) ? family : "document";
}

/** Any picture becomes a sticker: a square WebP, its ground left clear. */
async function asSticker(file) {
  if (file.type === "image/webp") return file;
  const picture = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = STICKER_PX;
  const scale = STICKER_PX / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  canvas.getContext("2d").drawImage(picture, (STICKER_PX - width) / 2, (STICKER_PX - height) / 2, width, height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/webp", 0.9));
  return new File([blob], `${file.name.replace(/\.\w+$/, "")}.webp`, { type: blob.type });
}
