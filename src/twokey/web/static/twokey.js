// What a page can do better with a script. Every page works without this file.

/** Puts text on the clipboard; where there is none (plain http), selects it for the reader to copy. */
async function copy(source, button) {
  const text = source.dataset.value ?? source.textContent.trim();
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      say(button, "Copied");
      return;
    } catch {
      // Not allowed: go on and select it.
    }
  }
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  say(button, "Selected: press Ctrl+C");
}

/** Says for a moment on the button what has happened. */
function say(button, words) {
  button.dataset.label ??= button.textContent;
  button.textContent = words;
  setTimeout(() => { button.textContent = button.dataset.label; }, 2500);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", () => copy(source, button));
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Times in the reader's zone, UTC for the pointer.
const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const element of document.querySelectorAll("time[datetime]")) {
  element.title = element.textContent;
  element.textContent = shown.format(new Date(element.dateTime));
}
