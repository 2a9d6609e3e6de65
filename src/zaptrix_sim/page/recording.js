// A voice note from the microphone, as a file. The simulator makes of it what a phone records.

const SECOND_MS = 1000;
const LONGEST_S = 300;

export class Recording {
  #recorder;
  #stream;
  #parts = [];
  #kept = true;
  onSecond = () => {};

  /** Throws where there is no microphone, or nobody may use it. */
  static async start() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    return new Recording(stream);
  }

  constructor(stream) {
    this.#stream = stream;
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.addEventListener("dataavailable", (event) => event.data.size && this.#parts.push(event.data));
    /** The file, or null when it was given up. */
    this.ended = new Promise((done) => this.#recorder.addEventListener("stop", () => done(this.#result())));
    const began = performance.now();
    const timer = setInterval(() => {
      const seconds = (performance.now() - began) / SECOND_MS;
      this.onSecond(seconds);
      if (seconds >= LONGEST_S) this.finish();
    }, SECOND_MS / 4);
    this.ended.then(() => clearInterval(timer));
    this.#recorder.start();
  }

  finish() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }

  cancel() {
    this.#kept = false;
    this.finish();
  }

  #result() {
    for (const track of this.#stream.getTracks()) track.stop();
    if (!this.#kept || !this.#parts.length) return null;
    return new File(this.#parts, "voice", { type: this.#recorder.mimeType });
  }
}
