// A button that copies text.

import { button } from "./dom.js";
import { t } from "./text.js";

/** A button that copies what `get` returns; `told` then shows `done`, or what to do instead. */
export function copyButton(text, get, told, done) {
  return button(text, async () => {
    try {
      await navigator.clipboard.writeText(get());
      told.textContent = done;
    } catch {
      told.textContent = t("error.copy_failed");
    }
  });
}
