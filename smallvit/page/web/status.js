// One message at a time, and whether something is being computed.

import { fill } from "./dom.js";
import { t } from "./text.js";

const message = document.getElementById("message");
const busy = document.getElementById("busy");
let slow = null;

/** Show a message until the next choice. */
export function showMessage(text) {
  fill(message, text);
  message.hidden = false;
  message.scrollIntoView({ block: "nearest" });
}

export function clear() {
  message.hidden = true;
  fill(message);
}

/** Say that answers are on their way; what is shown meanwhile is dimmed. */
export function setBusy(isWorking, text = null) {
  clearTimeout(slow);
  document.body.classList.toggle("working", isWorking);
  busy.textContent = isWorking ? (text ?? t("answer_bar.computing")) : "";
  if (isWorking)
    slow = setTimeout(() => {
      busy.textContent = t("error.slow");
    }, 12_000);
}
