// Does it hold? The answer when the photo is moved by some pixels, and when patches are covered.

import { className, count, list, percent, sentences, t } from "../text.js";
import { button, fill, h, refill } from "../dom.js";
import { bytes, cachedCall, keptAnswer, latest } from "../api.js";
import { canvas, pixels, seenImage, signed } from "../draw.js";
import { change, changesOf, classKey, modelNamed, page, pairNames, state, truthFor } from "../state.js";
import { current, currentAnswer, unchanged } from "../answers.js";
import { showMessage } from "../status.js";
import { buildView } from "./view.js";
import { patchGrid } from "../patch_grid.js";
import { answerName, inSentence, titleOf, translationInWords } from "../words.js";

const REACH = page.limits.translation;
const MOVES = (2 * REACH + 1) ** 2 - 1;

export function makeView(section, next) {
  const view = buildView(section, "robustness", next);
  const maps = h("div", { class: "maps" });
  const legend = h("p", { class: "caption" });
  const cellText = h("p", { class: "caption strong", role: "status" });
  const backButton = button(t("robustness.back"), () => change({ translation: [0, 0] }));
  const moved = canvas("", { class: "pixels seen" });
  const coverTake = h("p", { class: "take small" });
  const photo = canvas("");
  const patches = patchGrid({
    label: t("robustness.cover_hint"),
    toggles: true,
    onpick: (_, index) => toggle(index),
  });
  const [allText, lastText] = list("robustness.cover_buttons");
  const uncoverAll = button(allText, () => change({ covered: [] }));
  const uncoverLast = button(lastText, () => change({ covered: state.changes.covered.slice(0, -1) }));
  const covers = h("div", { class: "maps" });
  const coverLegend = h("p", { class: "caption" });
  const [axisRight, axisDown] = list("robustness.axes");
  view.body.append(
    h("h3", {}, t("robustness.shift_title")),
    h("p", { class: "intro" }, t("robustness.shift_intro")),
    h(
      "div",
      { class: "split shift" },
      h(
        "div",
        { class: "grow" },
        maps,
        h("p", { class: "caption" }, axisRight, " · ", axisDown),
        legend,
        h("p", { class: "caption narrow-only" }, t("robustness.narrow")),
      ),
      h(
        "div",
        { class: "card narrow" },
        moved,
        cellText,
        h("p", { class: "caption" }, t("robustness.hint")),
        backButton,
      ),
    ),
    h("h3", {}, t("robustness.cover_title")),
    h("p", { class: "intro" }, t("robustness.cover_intro")),
    coverTake,
    h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "card narrow" },
        h("div", { class: "pick" }, photo, patches.element),
        h("p", { class: "caption" }, t("robustness.cover_hint"), " ", t("robustness.fill"), "."),
        h("div", { class: "row" }, uncoverAll, uncoverLast),
      ),
      h("div", { class: "grow" }, covers, coverLegend),
    ),
  );

  const ask = latest(
    async (shown, names) => {
      for (const name of names)
        for (const endpoint of ["/page_translations", "/page_occlusions"])
          await cachedCall(endpoint, { photo: shown, model: name });
    },
    () => show(),
    (error) => showMessage(error.message),
  );

  function toggle(index) {
    const { covered } = state.changes;
    change({ covered: covered.includes(index) ? covered.filter((patch) => patch !== index) : [...covered, index] });
  }

  function show() {
    view.intro(t("robustness.intro"));
    if (!state.info) return;
    const models = pairNames().map(modelNamed);
    const names = models.map((model) => model.name);
    showPhoto(models[0]);
    const [moves, covered] = ["/page_translations", "/page_occlusions"].map((endpoint) =>
      names.map((name) => keptAnswer(endpoint, { photo: state.photo, model: name })),
    );
    if (![...moves, ...covered].every(Boolean)) {
      if (names.some((name) => unchanged[name])) ask(state.photo, names);
      return;
    }
    const kept = moves.map(({ answer, answers }) => answers.flat().filter((other) => other === answer).length - 1);
    drawMoves(models, moves, kept);
    drawCovers(models, covered);
    if (names.every(currentAnswer)) coverTake.textContent = coverTakeaway(models, covered);
    view.setTakeaway(shiftTakeaway(models, moves, kept));
  }

  function showPhoto(model) {
    const { covered, translation } = state.changes;
    const now = current[model.name];
    pixels(photo, now ? bytes(now.seen) : seenImage(state.info, model), model.image_size);
    photo.setAttribute("aria-label", t("answer_bar.photo_alt", { side: model.data_image_size }));
    patches.set(model.grid_size, 0, covered);
    uncoverAll.disabled = uncoverLast.disabled = !covered.length;
    const isMoved = translation.some(Boolean);
    backButton.disabled = !isMoved;
    pixels(moved, now ? bytes(now.seen) : seenImage(state.info, model), model.image_size);
    moved.setAttribute(
      "aria-label",
      isMoved
        ? t("robustness.moved_alt", { move: translationInWords(translation) })
        : t("photo.seen_alt", { side: model.data_image_size }),
    );
    cellText.textContent = isMoved
      ? pairNames()
          .filter(currentAnswer)
          .map((name) =>
            t("robustness.cell", {
              move: translationInWords(translation),
              model: inSentence(modelNamed(name)),
              answer: answerName(modelNamed(name), current[name]),
              p: percent(current[name].top[0][1]),
            }),
          )
          .join(" ")
      : "";
  }

  let drawnMoves = null;

  function drawMoves(models, moves, kept) {
    const key = JSON.stringify([state.photo, models.map((model) => model.name), state.changes.translation]);
    if (key === drawnMoves) return;
    drawnMoves = key;
    refill(
      maps,
      models.map((model, index) => movesGrid(model, moves[index], kept[index])),
    );
    const [first] = models;
    const patch = (first.patch_size * first.data_image_size) / first.image_size; // in pixels of a move
    const [edge, whole] = list("robustness.notes", { P: patch });
    legend.textContent = [
      t("robustness.legend", {
        answer: models
          .map((model, index) => className(classKey(model, moves[index].answer)))
          .filter((name, index, all) => all.indexOf(name) === index)
          .join(" / "),
      }),
      edge,
      Number.isInteger(patch) && whole,
    ]
      .filter(Boolean)
      .join(" ");
  }

  function movesGrid(model, answer, kept) {
    const said = className(classKey(model, answer.answer));
    const flat = answer.probability.flat();
    const cells = [];
    const side = 2 * REACH + 1;
    for (let row = 0; row < side; row += 1) {
      cells.push(
        h(
          "div",
          { role: "row" },
          Array.from({ length: side }, (_, column) => {
            const translation = [column - REACH, row - REACH];
            const here = !translation.some(Boolean);
            const probability = answer.probability[row][column];
            const other = answer.answers[row][column] !== answer.answer;
            const label = t("robustness.cell_label", {
              move: here ? t("robustness.unmoved") : translationInWords(translation),
              answer: className(classKey(model, answer.answers[row][column])),
              p: percent(answer.top[row][column]),
            });
            return h(
              "div",
              { role: "gridcell" },
              h("button", {
                type: "button",
                "aria-label": label,
                title: label,
                class: [other && "other", here && "here"].filter(Boolean).join(" "),
                tabindex: here ? 0 : -1,
                "data-key": `${model.name} ${translation}`,
                "aria-pressed": String(state.changes.translation) === String(translation),
                style: { "--share": probability },
                onclick: () => change({ translation }),
              }),
            );
          }),
        ),
      );
    }
    const element = h(
      "div",
      {
        class: "moves",
        role: "grid",
        "data-variant": model.variant,
        "aria-label": t("robustness.map_alt", {
          model: titleOf(model),
          answer: said,
          total: flat.length,
          low: percent(Math.min(...flat)),
          high: percent(Math.max(...flat)),
          k: kept,
          n: MOVES,
        }),
      },
      cells,
    );
    element.addEventListener("keydown", (event) => {
      const buttons = [...element.querySelectorAll("button")].filter((each) => each.offsetParent);
      const across = Math.sqrt(buttons.length);
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
      const from = buttons.indexOf(document.activeElement);
      if (!step || from < 0) return;
      event.preventDefault();
      const next = buttons[from + step];
      if (!next || (Math.abs(step) === 1 && Math.floor(from / across) !== Math.floor((from + step) / across))) return;
      for (const each of buttons) each.tabIndex = each === next ? 0 : -1;
      next.focus();
    });
    return h("figure", {}, h("figcaption", {}, titleOf(model)), element);
  }

  let drawnCovers = null;

  function drawCovers(models, covered) {
    const key = JSON.stringify([state.photo, models.map((model) => model.name)]);
    if (key === drawnCovers) return;
    drawnCovers = key;
    const most = Math.max(0.01, ...covered.flatMap(({ probability, p0 }) => probability.map((p) => Math.abs(p - p0))));
    fill(
      covers,
      models.map((model, index) => {
        const answer = covered[index];
        const image = canvas("");
        const differences = answer.probability.map((p) => p - answer.p0);
        const turned = answer.answers.flatMap((each, place) => (each === answer.answer ? [] : [place]));
        signed(
          image,
          seenImage(state.info, model),
          model.image_size,
          model.grid_size,
          differences,
          most,
          "#d55e00",
          "#56b4e9",
          turned,
        );
        const { drop, row, column } = largestDrop(model, answer);
        image.setAttribute(
          "aria-label",
          t("robustness.cover_alt", {
            model: titleOf(model),
            answer: className(classKey(model, answer.answer)),
            drop: percent(drop),
            row,
            column,
          }),
        );
        return h("figure", {}, h("figcaption", {}, titleOf(model)), image);
      }),
    );
    coverLegend.textContent = t("robustness.cover_legend", {
      answer: [...new Set(models.map((model, index) => className(classKey(model, covered[index].answer))))].join(" / "),
      max: percent(most),
    });
  }

  return { show };
}

function largestDrop(model, answer) {
  const lowest = Math.min(...answer.probability);
  const place = answer.probability.indexOf(lowest);
  return {
    drop: answer.p0 - lowest,
    row: Math.floor(place / model.grid_size) + 1,
    column: (place % model.grid_size) + 1,
  };
}

function shiftTakeaway(models, moves, kept) {
  const [a, b] = models;
  if (!b) return t("robustness.T.single", { model: inSentence(a), k: kept[0], n: MOVES });
  let sentence;
  const [more, less] = kept[0] >= kept[1] ? [0, 1] : [1, 0];
  if (kept[0] === kept[1])
    sentence = t(kept[0] === MOVES ? "robustness.T.all" : "robustness.T.equal", { k: kept[0], n: MOVES });
  else
    sentence = t("robustness.T.more", {
      more: inSentence(models[more]),
      less: inSentence(models[less]),
      k1: kept[more],
      k2: kept[less],
      n: MOVES,
    });
  const parts = [sentence];
  const truth = truthFor(models[more]);
  if (truth && kept[0] !== kept[1] && classKey(models[more], moves[more].answer) !== truth) {
    parts.push(
      t("robustness.T+.steady_wrong", {
        more: inSentence(models[more]),
        truth: className(truth),
      }),
    );
  } else if (page.consistency[a.name] && page.consistency[b.name]) {
    parts.push(
      t("robustness.T+.test", {
        n_test: count(page.consistency[a.name].n),
        A: inSentence(a),
        cA: percent(page.consistency[a.name].share),
        B: inSentence(b),
        cB: percent(page.consistency[b.name].share),
      }),
    );
  }
  return sentences(parts);
}

function coverTakeaway(models, covered) {
  const parts = models.map((model, index) => {
    const hidden = changesOf(model.name).covered?.length;
    const [now, before] = [current[model.name], unchanged[model.name]];
    const answer = covered[index];
    const total = model.grid_size ** 2;
    if (hidden && now && before) {
      const same = now.top[0][0] === before.top[0][0];
      return t(`robustness.T.${same ? "kept" : "turned"}`, {
        n: hidden,
        total,
        model: inSentence(model),
        answer: answerName(model, now),
        answer0: answerName(model, before),
        p: percent(now.top[0][1]),
        p0: percent(before.top[0][1]),
      });
    }
    const { drop, row, column } = largestDrop(model, answer);
    const decisive = answer.answers.filter((each) => each !== answer.answer).length;
    if (drop <= 0)
      return t("robustness.T.no_drop", { model: inSentence(model), answer: className(classKey(model, answer.answer)) });
    return t(decisive ? "robustness.T.some_decide" : "robustness.T.none_decides", {
      model: inSentence(model),
      k: decisive,
      total,
      drop: percent(drop),
      row,
      column,
    });
  });
  if (!state.changes.covered.length)
    parts.push(t("robustness.T+.caution"), models.some((model) => model.use_spt) && t("robustness.T+.neighbours"));
  return sentences(parts);
}
