// The bar that stays in sight: the photo, its truth, both answers, what is changed, and the way through the views.

import { button, fill, h, linkTo } from "./dom.js";
import { aTruth, className, list, percent, t } from "./text.js";
import { changesOf, classKey, modelNamed, openView, pairNames, state, subscribe, truthFor, undo } from "./state.js";
import { current, onAnswers, unchanged } from "./answers.js";
import { bytes } from "./api.js";
import { pixels, seenImage } from "./draw.js";
import { answerName, answersInWords, changesInWords, titleOf } from "./words.js";

export function makeAnswerBar(element, views, settings) {
  const photo = h("canvas", { role: "img", class: "pixels" });
  const truth = h("span", { class: "truth" });
  const says = h("div", { class: "says" });
  const what = h("span", {});
  const change = h("div", { class: "what-if", hidden: true }, what, button(t("answer_bar.undo"), undo));
  const announced = h("p", { class: "sr", "aria-live": "polite" });
  const links = Object.fromEntries(
    views.map((name) => [
      name,
      linkTo(t(`${name}.tab`), `#view=${name}`, () => {
        menu.open = false;
        openView(name);
      }),
    ]),
  );
  const here = h("span", {});
  const menu = h("details", { class: "menu" }, h("summary", {}, t("answer_bar.menu"), ": ", here));
  const nav = h(
    "nav",
    { "aria-label": t("answer_bar.menu") },
    h(
      "ol",
      {},
      views.map((name) => h("li", {}, links[name])),
    ),
  );
  element.setAttribute("role", "region");
  element.setAttribute("aria-label", t("answer_bar.label"));
  fill(
    element,
    h("div", { class: "bar" }, photo, h("div", { class: "words" }, truth, says), change, settings.button),
    menu,
    nav,
    announced,
  );
  const narrow = matchMedia("(max-width: 700px)");
  const place = () => {
    // one list of links: beneath the bar, or in a menu
    if (narrow.matches) menu.append(nav);
    else element.insertBefore(nav, announced);
    menu.hidden = !narrow.matches;
  };
  place();
  narrow.addEventListener("change", place);

  let spoken = null;

  function show() {
    for (const name of views) {
      if (name === state.view) links[name].setAttribute("aria-current", "page");
      else links[name].removeAttribute("aria-current");
    }
    here.textContent = t(`${state.view}.tab`);
    const { info } = state;
    const model = modelNamed(state.a);
    photo.setAttribute("aria-label", info ? t("answer_bar.photo_alt", { side: model.data_image_size }) : "");
    if (info) pixels(photo, current[state.a] ? bytes(current[state.a].seen) : seenImage(info, model), model.image_size);
    else photo.getContext("2d").clearRect(0, 0, photo.width, photo.height);
    const known = pairNames().map(modelNamed).map(truthFor).find(Boolean);
    truth.textContent = known
      ? t("answer_bar.truth", { a_truth: aTruth(known), truth: className(known) })
      : info
        ? t("answer_bar.unknown")
        : "\u00a0";
    fill(says, pairNames().map(say));
    const told = changesInWords();
    change.hidden = told === null;
    if (told) what.textContent = t("answer_bar.what_if", { setting: told });
    const words = answersInWords();
    if (current[state.a] && words !== spoken) {
      spoken = words;
      announced.textContent = words;
    }
  }

  function say(name) {
    const model = modelNamed(name);
    const answer = current[name];
    const line = h(
      "span",
      { class: "say", "data-variant": model.variant },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "who" }, titleOf(model)),
    );
    if (!answer) return line;
    const [right, wrong, unsure] = list("answer_bar.marks");
    const truth = truthFor(model);
    const said = classKey(model, answer.top[0][0]);
    const value = h("span", { class: "value" }, `${percent(answer.top[0][1])}\u00a0%`);
    const marked = h("span", { class: "marked" }, value);
    line.append(h("b", {}, className(said)), " ", marked);
    if (truth)
      marked.append(
        h(
          "span",
          { class: said === truth ? "right" : "wrong" },
          h("span", { class: "sr" }, said === truth ? right : wrong),
        ),
      );
    if (answer.unsure) line.append(h("span", { class: "unsure" }, unsure));
    const before = unchanged[name];
    if (before && JSON.stringify(changesOf(name)) !== "{}") {
      line.append(
        h(
          "span",
          { class: "was" },
          t("answer_bar.was", { answer0: answerName(model, before), p0: percent(before.top[0][1]) }),
        ),
      );
    }
    return line;
  }

  subscribe(show);
  onAnswers(show);
  show();
}
