// A field that grows with its text; Enter sends, Shift+Enter breaks the line.

/** send(text) is awaited one at a time, so quick messages leave in the order they were typed. */
export function makeComposer(form, field, send) {
  let queue = Promise.resolve();
  const submit = (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text || field.disabled) return;
    field.value = "";
    fit(field);
    queue = queue.then(async () => {
      if (await send(text)) return;
      // Refused: what was typed comes back, before anything typed since.
      field.value = field.value ? `${text}\n${field.value}` : text;
      fit(field);
    });
  };
  form.addEventListener("submit", submit);
  field.addEventListener("input", () => fit(field));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
}

/** Its height counts the border, which the height of its content does not. */
function fit(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}
