// Use it: the code that loads the model, asks this page, trains the model again.

import { button, fill, h } from "../dom.js";
import { call, latest } from "../api.js";
import { copyButton } from "../copy.js";
import { showMessage } from "../status.js";
import { buildView } from "./view.js";
import { list, t } from "../text.js";
import { modelNamed, openView, state } from "../state.js";
import { inSentence } from "../words.js";

const ENDPOINTS = ["classify", "compare", "what_if", "patches", "tau", "attention"];

export function makeView(section) {
  const view = buildView(section, "use");
  const [python, client, train, card, cite, copyText] = list("use.headings");
  const parts = { python, client, train, cite, card };
  const blocks = Object.fromEntries(Object.keys(parts).map((name) => [name, h("code", {})]));
  const statusLine = h("p", { class: "caption", role: "status" });
  const block = (name) =>
    h(
      "div",
      { class: "code" },
      h("pre", { tabindex: 0, role: "region", "aria-label": parts[name] }, blocks[name]),
      copyButton(copyText, () => blocks[name].textContent, statusLine, t("use.copied")),
    );
  const endpoints = h(
    "dl",
    { class: "endpoints" },
    ENDPOINTS.map((name) => [h("dt", {}, h("code", {}, `/${name}`)), h("dd", {}, t(`use.api.${name}`))]),
  );
  view.body.append(
    ...["python", "client", "train", "cite"].map((name) =>
      h("div", {}, h("h3", {}, parts[name]), block(name), name === "client" && endpoints),
    ),
    h("details", {}, h("summary", {}, card), block("card")),
    statusLine,
    h(
      "p",
      { class: "next" },
      button(t("use.next"), () => {
        openView("photo");
        document.getElementById("file").click();
      }),
    ),
  );
  let drawn = null;
  const ask = latest(
    (name) => call("/page_use", { model: name }),
    (answer) => {
      for (const [name, code] of Object.entries(blocks)) fill(code, answer[name] ?? "");
    },
    (error) => {
      drawn = null;
      showMessage(error.message);
    },
  );

  function show() {
    const model = modelNamed(state.b);
    view.intro(t("use.intro"));
    view.setTakeaway(t("use.T.model", { model: inSentence(model) }).replaceAll("`", ""));
    if (drawn === model.name) return;
    drawn = model.name;
    ask(model.name);
  }

  return { show };
}
