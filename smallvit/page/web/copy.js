// A button that copies text.

import { button } from "./dom.js";
import { t } from "./text.js";

/** A button that copies what `get` returns; `statusLine` then shows `done`, or what to do instead. */
export function copyButton(text, get, statusLine, done) {
  return button(text, async () => {
    try {
      await navigator.clipboard.writeText(get());
      statusLine.textContent = done;
    } catch {
      statusLine.textContent = t("error.copy_failed");
    }
  });
}
