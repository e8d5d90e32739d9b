// Where A and B disagree: the 2 x 2 table of who is right, and photos of each cell.

import { bytes, call, latest } from "./api.js";
import { button, fill, h } from "./dom.js";
import { canvas, pixels } from "./draw.js";
import { choosePhoto } from "./answers.js";
import { classKey, disagreementOf, modelNamed, offeredExamples, page, pairNames } from "./state.js";
import { className, count, list, pvalue, sentences, t } from "./text.js";
import { showMessage } from "./status.js";
import { inSentence, titleOf } from "./words.js";
import { explain } from "./views/view.js";

const CELLS = ["both", "first", "second", "neither"];

export function makeGallery() {
  const takeaway = h("p", { class: "take small" });
  const cells = h("div", { class: "row cells", role: "group", "aria-label": t("gallery.title") });
  const row = h("ul", { class: "thumbs" });
  const more = button(t("gallery.more"), () => load.isRunning() || load(pairNames(), cell, row.children.length), {
    hidden: true,
  });
  const empty = h("p", { class: "caption", hidden: true }, t("gallery.empty"));
  const source = h("p", { class: "caption" });
  const element = h(
    "div",
    { class: "gallery" },
    h("h3", { id: "gallery" }, t("gallery.title")),
    h("p", { class: "intro" }, t("gallery.intro")),
    takeaway,
    cells,
    row,
    empty,
    more,
    source,
  );
  let cell = null;
  let pair = null;

  const load = latest(
    (models, wanted, offset) => call("/page_gallery", { models, cell: wanted, offset }),
    (answer, models, cell_, offset) => {
      if (!offset) row.replaceChildren();
      row.dataset.cell = cell_;
      row.append(...answer.images.map((image) => thumb(image, models.map(modelNamed))));
      more.hidden = !answer.more;
      empty.hidden = row.children.length > 0;
    },
    (error) => showMessage(error.message),
  );

  function thumb(image, [a, b]) {
    const picture = canvas("");
    pixels(picture, bytes(image.seen), a.image_size);
    const values = {
      truth: className(image.truth),
      A: titleOf(a),
      answerA: className(classKey(a, image.answers[0])),
      B: titleOf(b),
      answerB: className(classKey(b, image.answers[1])),
    };
    picture.setAttribute("aria-label", t("gallery.image_alt", values));
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          "data-photo": Object.keys(image.photo)[0],
          onclick: () => {
            choosePhoto(image.photo);
            scrollTo({ top: 0 });
          },
        },
        picture,
        h("span", { title: values.truth }, values.truth),
      ),
    );
  }

  function show() {
    const names = pairNames();
    element.hidden = names.length < 2 || modelNamed(names[0]).classes !== modelNamed(names[1]).classes;
    const key = names.join(" ");
    if (element.hidden || key === pair) return;
    pair = key;
    cell = null;
    load.cancel();
    row.replaceChildren();
    more.hidden = empty.hidden = true;
    const [a, b] = names.map(modelNamed);
    source.textContent =
      page.test_class_names?.join() === page.class_names[a.classes].join()
        ? t("gallery.source_test")
        : t("gallery.source_examples", { n: offeredExamples().length });
    const found = disagreementOf(a.name, b.name);
    const swapped = found && found.models[0] !== a.name;
    const counts = found && {
      both: found.both,
      first: swapped ? found.only_second : found.only_first,
      second: swapped ? found.only_first : found.only_second,
      neither: found.neither,
    };
    takeaway.hidden = !found;
    if (found) {
      const values = {
        A: inSentence(a),
        B: inSentence(b),
        n: count(found.different_answers),
        total: count(found.n),
        a: count(counts.first),
        b: count(counts.second),
        pvalue: pvalue(found.p),
      };
      const wrongDifferently = found.different_answers - counts.first - counts.second;
      const told = sentences([
        t(found.p < 0.05 ? "gallery.T.uneven" : "gallery.T.even", values),
        wrongDifferently > 0 && t("gallery.T+.both_wrong", { w: count(wrongDifferently) }),
      ]);
      fill(takeaway, explain(told));
    }
    const cellTexts = list("gallery.cells", { A: titleOf(a), B: titleOf(b) });
    fill(
      cells,
      CELLS.map((name, index) =>
        button(
          counts
            ? `${cellTexts[index]}: ${list("gallery.cells", { n: count(counts[name]), total: count(found.n) })[4]}`
            : cellTexts[index],
          () => {
            cell = name;
            for (const [place, cellButton] of [...cells.children].entries())
              cellButton.setAttribute("aria-pressed", CELLS[place] === name);
            load(names, name, 0);
          },
          { "aria-pressed": false },
        ),
      ),
    );
  }

  return { element, show };
}
