// The page: header, the bar with the answers, the views, and what the link says.

import { makeAnswerBar } from "./answer_bar.js";
import { button, fill, h, linkTo } from "./dom.js";
import { call } from "./api.js";
import { aTruth, className, count, language, list, loadTexts, percent, rich, t } from "./text.js";
import { choosePhoto, lookAgain, onAnswers, unchanged } from "./answers.js";
import {
  availableModels,
  classKey,
  compared,
  defaultPair,
  link,
  modelNamed,
  notify,
  page,
  offeredExamples,
  openView,
  readLink,
  set,
  state,
  subscribe,
  truthFor,
} from "./state.js";
import { clear, setBusy, showMessage } from "./status.js";
import { makeSettings } from "./settings.js";
import { answersInWords, titleOf } from "./words.js";

const VIEWS = ["photo", "token", "attention", "temperature", "robustness", "training", "use"];

async function start() {
  const theme = new URLSearchParams(location.search).get("__theme"); // a Space passes on its visitor's choice
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  await loadTexts();
  document.title = t("header.page_title");
  const skip = document.getElementById("skip");
  skip.textContent = t("header.skip");
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  makeHeader();
  if (!availableModels().length) {
    document.body.classList.add("empty");
    showMessage(t(page.models.some((model) => model.status === "downloading") ? "error.loading" : "error.no_models"));
    if (page.models.length) waitForModels();
    return;
  }
  const settings = makeSettings(switchLanguage);
  makeAnswerBar(document.getElementById("answer-bar"), VIEWS, settings);
  subscribe((changed) => {
    if (changed.has("photo")) clear();
  });
  await makeViews();
  makeFooter(); // last, so that nothing is pushed down
  open();
  if (page.models.some((model) => model.status === "downloading")) waitForModels();
}

function makeHeader() {
  const other = language === "ko" ? "en" : "ko";
  const story = h("p", { id: "story" }, "\u00a0");
  fill(
    document.getElementById("header"),
    h(
      "div",
      { class: "top" },
      h("h1", {}, t("header.h1")),
      button(t("header.language"), () => switchLanguage(other), {
        lang: other,
        "aria-label": t("header.language_label"),
        id: "language",
      }),
    ),
    h("p", { class: "lead" }, t("header.lead")),
    story,
    page.problems.map((problem) => h("p", { class: "problem" }, problem)),
    absent,
  );
  showAbsent();
  onAnswers(() => {
    const known = Object.keys(unchanged).length > 0;
    if (known) fill(story, tellStory());
    story.style.visibility = known ? "" : "hidden"; // the story of the photo before; its room stays
  });
}

const absent = h("div", { role: "status" });

/** Name the models that are on their way from the Hub, and those that cannot be had. */
function showAbsent() {
  fill(
    absent,
    page.models
      .filter((model) => model.status !== "here")
      .map((model) =>
        h(
          "p",
          { class: "problem" },
          model.status === "downloading"
            ? t("error.downloading", { model: model.name })
            : `${model.name}: ${model.status}`,
        ),
      ),
  );
}

/** One or two sentences: what the photo shows, and whether the plain model and the one with both ideas are right. */
function tellStory() {
  const plain = compared().find((model) => model.variant === "vit");
  const both = compared().find((model) => model.variant === "spt_lsa");
  const truth = plain && both && truthFor(plain) && truthFor(both);
  if (!truth || !unchanged[plain.name] || !unchanged[both.name]) return rich(answersInWords());
  const said = (model) => classKey(model, unchanged[model.name].top[0][0]);
  const key = { "01": 1, 11: 2, 10: 3, "00": 4 }[`${Number(said(plain) === truth)}${Number(said(both) === truth)}`];
  const values = {
    a_truth: aTruth(truth),
    truth: className(truth),
    answer_vit: className(said(plain)),
    answer_both: className(said(both)),
  };
  return rich(`**${t(`header.story_${key}`, values)}** ${t("header.story_end")}`);
}

function switchLanguage(other) {
  const url = new URL(link());
  url.searchParams.set("lang", other);
  location.assign(url);
}

function makeFooter() {
  const tests = Object.fromEntries(compared().map((model) => [model.variant, model.test])); // trained in the same way
  const figures = ["vit", "spt", "lsa", "spt_lsa"].map((variant) => tests[variant]);
  const [source, api, credits] = list("header.footer");
  fill(
    document.getElementById("footer"),
    figures.every(Boolean) &&
      h(
        "p",
        {},
        t("header.evidence", {
          n: count(figures[0].n),
          a: percent(figures[0].top1),
          b: percent(figures[1].top1),
          c: percent(figures[2].top1),
          d: percent(figures[3].top1),
        }),
      ),
    h(
      "p",
      {},
      h("a", { href: "https://arxiv.org/abs/2112.13492" }, t("header.paper")),
      " ",
      t("header.privacy"),
      " ",
      t("header.dotted"),
    ),
    h(
      "p",
      { class: "links" },
      page.source_code && h("a", { href: page.source_code }, source),
      linkTo(api, "#view=use", () => {
        openView("use");
        scrollTo({ top: 0 });
      }),
      h("a", { href: "credits" }, credits),
    ),
  );
}

async function makeViews() {
  const modules = await Promise.all(VIEWS.map((name) => import(`./views/${name}.js`)));
  for (const [index, name] of VIEWS.entries()) {
    const section = h("section", { id: `view-${name}`, "aria-labelledby": `title-${name}`, hidden: true });
    document.getElementById("main").append(section);
    const view = modules[index].makeView(section, VIEWS[index + 1]);
    const refresh = () => {
      if (state.view === name) view.show();
    };
    subscribe(refresh);
    onAnswers(refresh);
  }
  subscribe((changed) => {
    if (changed.has("view")) showView(true);
  });
}

function showView(moved) {
  if (!VIEWS.includes(state.view)) set({ view: "photo" });
  for (const name of VIEWS) document.getElementById(`view-${name}`).hidden = name !== state.view;
  if (!moved) return;
  const bar = document.getElementById("answer-bar");
  const top = document.getElementById("main").getBoundingClientRect().top + scrollY - bar.offsetHeight;
  if (scrollY > top) scrollTo({ top });
  document.getElementById(`title-${state.view}`)?.focus({ preventScroll: true });
}

let linkHasPair = false;

function open() {
  const { fields, changes, notes } = readLink();
  const { photo, ...rest } = fields;
  linkHasPair = "a" in fields || "b" in fields;
  set(rest);
  showView(false);
  const examples = offeredExamples();
  const first = examples.find((example) => example.id === page.opening) ?? examples[0];
  if (photo || first) choosePhoto(photo ?? { example: first.id }, photo ? changes : null);
  else {
    setBusy(false);
    set({ info: null });
  }
  const other = titleOf(modelNamed(state.a));
  const sentences = notes.map((note) =>
    note === "damaged" ? t("error.link_damaged") : t("error.link_models", { model: note.model, other }),
  );
  if (notes.length) showMessage(sentences.join(" "));
}

addEventListener("hashchange", () => {
  // a link that the visitor put into the address; the entries of the page itself have a state
  if (!history.state && location.hash.includes("view=")) location.reload();
});

function waitForModels() {
  setTimeout(async () => {
    try {
      const status = await call("/page_status", {}); // models, the pair, and the classes of the models
      await lookAgain(status.models); // before a visitor can choose them
      const before = availableModels().length;
      const { a, b } = defaultPair();
      Object.assign(page, status);
      if (!before && availableModels().length) location.reload();
      if (!linkHasPair && state.a === a && state.b === b) set(defaultPair()); // unless somebody chose the pair
      showAbsent();
      notify(new Set(["models"])); // every view is shown again
    } catch {
      /* asked again */
    }
    if (page.models.some((model) => model.status === "downloading")) waitForModels();
  }, 3000);
}

start().catch((error) => {
  showMessage(t("error.unexpected"));
  throw error;
});
