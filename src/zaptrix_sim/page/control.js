// The simulator's /control over HTTP, and its stream of changes.

const PATIENCE_MS = 15_000;
const RECONNECT_MS = [500, 1000, 2000, 5000];
const REST_MS_MIN = 80;

/** The simulator answered and said no: `message` is its own sentence. Everything else is a plain Error. */
export class Refused extends Error {}

export async function ask(path, method = "GET", body = undefined) {
  const response = await fetch(`/control/${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    signal: AbortSignal.timeout(PATIENCE_MS),
    cache: "no-store",
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error ?? `HTTP ${response.status}`);
  return answer;
}

/**
 * Calls onChange for every change and after each (re)connection, onLamp with "live" or "lost".
 * EventSource gives up for good on an HTTP error, so a closed one is replaced here.
 */
export function watch({ onChange, onLamp }) {
  let failures = 0;
  const connect = () => {
    const source = new EventSource("/control/stream");
    source.onopen = () => {
      failures = 0;
      onLamp("live");
      onChange({ type: "connected" });
    };
    source.onmessage = (message) => onChange(readEvent(message.data));
    source.onerror = () => {
      source.close();
      onLamp("lost");
      setTimeout(connect, RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)]);
      failures += 1;
    };
  };
  connect();
}

function readEvent(data) {
  try {
    return JSON.parse(data);
  } catch {
    return { type: "unknown" };
  }
}

/**
 * Runs `work` now, or once more after the run that is under way, never twice at a time. It rests for as long as the
 * work took (or restMs), so a busy simulator is asked less often, and the last change is always seen.
 */
export function atMostOneAtATime(work, restMs = REST_MS_MIN) {
  let running = false;
  let again = false;
  const run = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      const began = performance.now();
      await work();
      await new Promise((wake) => setTimeout(wake, Math.max(restMs, performance.now() - began)));
    } while (again);
    running = false;
  };
  return run;
}
