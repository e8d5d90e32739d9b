// A token: how the pieces of five images become the numbers that stand for one patch.

import { bytes, call, latest } from "../api.js";
import { button, fill, h, refill, slider } from "../dom.js";
import { canvas, css, drawFrame, enlarge, gridLines, pixels, seenImage } from "../draw.js";
import { showMessage } from "../status.js";
import { buildView } from "./view.js";
import { list, t } from "../text.js";
import { modelNamed, pairNames, set, state } from "../state.js";
import { patchGrid } from "../patch_grid.js";
import { titleOf } from "../words.js";

// Where things are on the stage, in hundredths of its width.
const GRID_WIDTH = 17,
  GRID_STEP = 20,
  LEFT_EDGE = 1.5;
const QUADRANT = [
  [5, 5],
  [10, 10],
  [10, 0],
  [0, 10],
  [0, 0],
]; // of the original, left-up, left-down, right-up, right-down
const STEP_MS = 2200;

export function makeView(section, nextView) {
  const view = buildView(section, "token", nextView);
  const photo = canvas("", { class: "pixels" });
  const patches = patchGrid({
    label: t("token.hint"),
    onpick: (place) => {
      // the pieces of a patch that is clicked fly at once
      onBuilt = "play";
      set(place);
      if (!drawn) show();
      else if (!waiting) {
        onBuilt = null;
        pause();
        go(0);
        begin();
      }
    },
  });
  const [rowText, columnText] = list("token.sliders");
  const rows = slider(rowText, state.row, (row) => set({ row }));
  const columns = slider(columnText, state.column, (column) => set({ column }));
  const which = h("div", { class: "row", role: "group" });
  const stage = h("div", { class: "stage", role: "img" });
  const said = h("p", { class: "step", role: "status" });
  const [playText, pauseText, nextText, backText, startText] = list("token.buttons");
  const play = button(playText, () => (timer ? pause() : begin()), { class: "primary" });
  const next = button(nextText, () => {
    pause();
    go(step + 1);
  });
  const back = button(backText, () => {
    pause();
    go(step - 1);
  });
  const first = button(startText, () => {
    pause();
    go(0);
  });
  const progress = h("span", { class: "caption" });
  view.body.append(
    h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "card narrow" },
        h("div", { class: "pick" }, photo, patches.element),
        h("p", { class: "caption" }, t("token.legend_frame"), " ", t("token.hint")),
        rows,
        columns,
      ),
      h(
        "div",
        { class: "grow card" },
        which,
        stage,
        said,
        h("div", { class: "row" }, play, back, next, first, progress),
        h("p", { class: "caption hatch" }, t("token.legend_hatched")),
      ),
    ),
  );

  const isStill = matchMedia("(prefers-reduced-motion: reduce)");
  let step = 0;
  let timer = null;
  let onBuilt = "play"; // what to do when the numbers of a token are there: the first one is assembled as the view opens
  let waiting = false;
  let drawn = null; // what the stage shows
  let chosen = null; // the model whose token it is
  const parts = {};

  const ask = latest(
    (name, row, column) => call("/page_token", { photo: state.photo, model: name, row, column }),
    (answer, name, row, column) => build(modelNamed(name), answer, row, column),
    (error) => {
      waiting = false;
      drawn = null;
      showMessage(error.message);
    },
  );

  function show() {
    const names = pairNames();
    if (!names.includes(chosen))
      chosen =
        names.find((name) => name === state.b && modelNamed(name).use_spt) ??
        names.find((name) => modelNamed(name).use_spt) ??
        state.a;
    const model = modelNamed(chosen);
    const [row, column] = [state.row, state.column].map((value) => Math.min(value, model.grid_size));
    refill(
      which,
      names.length > 1 &&
        names.map((name) =>
          button(
            titleOf(modelNamed(name)),
            () => {
              chosen = name;
              step = 0;
              show();
            },
            { "aria-pressed": name === chosen, "data-key": name, "data-variant": modelNamed(name).variant },
          ),
        ),
    );
    const values = tokenValues(model, row, column);
    view.intro(t("token.intro", values));
    const anySpt = names.some((name) => modelNamed(name).use_spt);
    view.setTakeaway(t(`token.T.${!anySpt ? "none" : values.n < values.total ? "border" : "inside"}`, values));
    for (const [control, value] of [
      [rows, row],
      [columns, column],
    ]) {
      control.limit(model.grid_size);
      control.set(value);
    }
    patches.set(model.grid_size, (row - 1) * model.grid_size + column - 1);
    if (!state.info) return;
    drawPhoto(photo, model, row, column, anySpt);
    const key = JSON.stringify([state.photo, chosen, row, column]);
    if (key !== drawn) {
      drawn = key;
      waiting = true;
      ask(chosen, row, column);
    }
  }

  function build(model, answer, row, column) {
    const size = model.patch_size;
    const number = model.use_spt ? 5 : 1;
    const shifted = bytes(answer.shifted);
    const pieces = bytes(answer.pieces);
    const names = list("token.grids");
    const glosses = list("token.piece_gloss");
    const bytesOf = model.image_size ** 2 * 3;
    parts.grids = Array.from({ length: number }, (_, index) => {
      const image = canvas(t("token.grid_alt", { name: names[index], n: model.grid_size ** 2, row, column }), {
        class: "pixels grid",
      });
      drawGrid(image, shifted.subarray(index * bytesOf, (index + 1) * bytesOf), model, row, column, index);
      return h(
        "figure",
        { class: "piece-grid", style: { left: `${LEFT_EDGE + index * GRID_STEP}%`, width: `${GRID_WIDTH}%` } },
        image,
        h("figcaption", {}, names[index]),
      );
    });
    parts.pieces = Array.from({ length: number }, (_, index) => {
      const image = h("canvas", {
        class: "pixels piece",
        title: index ? glosses[index - 1] : names[0],
        "aria-hidden": "true",
      });
      pixels(image, pieces.subarray(index * size * size * 3, (index + 1) * size * size * 3), size);
      return image;
    });
    const total = size * size * 3 * number;
    parts.before = strip(byPiece(answer.patch, number, size), number);
    parts.after = strip(byPiece(answer.projection_input, number, size), number);
    const [low, high] = [Math.min(...answer.token), Math.max(...answer.token)].map((value) =>
      value.toFixed(1).replace("-", "−"),
    );
    parts.token = h(
      "figure",
      { class: "barcode" },
      barcode(answer.token, t("token.token_alt", { D: model.embed_dim, low, high })),
      h("figcaption", {}, t("token.legend_token", { D: model.embed_dim, low, high })),
    );
    parts.total = total;
    parts.model = model;
    parts.place = [row, column];
    fill(stage, parts.grids, parts.before, parts.after, parts.token, parts.pieces);
    waiting = false;
    if (onBuilt === "play") {
      onBuilt = null;
      pause();
      go(isStill.matches ? last() : 0);
      if (!isStill.matches) begin(false);
    } else go(Math.min(step, last()));
  }

  const last = () => (parts.model?.use_spt ? 6 : 2);

  function go(target) {
    if (!parts.model) return;
    step = Math.max(0, Math.min(last(), target));
    const {
      model,
      place: [row, column],
    } = parts;
    const spt = model.use_spt;
    const cell = GRID_WIDTH / model.grid_size;
    parts.grids.forEach((grid, index) => grid.classList.toggle("away", (index > 0 && step < 1) || (spt && step >= 4)));
    parts.pieces.forEach((piece, index) => {
      let x = LEFT_EDGE + index * GRID_STEP + (column - 1) * cell,
        y = (row - 1) * cell,
        side = cell;
      if (spt ? step === 2 : step === 1) [x, y, side] = [LEFT_EDGE + index * GRID_STEP + 3.5, 25, 10];
      if (spt && step === 3) [x, y, side] = [40 + QUADRANT[index][0], 25 + QUADRANT[index][1], 10];
      if (spt && step >= 4) [x, y, side] = [2 + index * 19.2 + 6.1, 1, 7];
      if (!spt && step === 2) [x, y, side] = [46.5, 1, 7];
      piece.style.left = `${x}%`;
      piece.style.width = `${side}%`;
      piece.style.setProperty("--top", y);
      piece.classList.toggle("away", index > 0 && step < 1);
      piece.classList.toggle("middle", spt && step === 3 && index === 0);
    });
    if (!spt) parts.grids[0].classList.toggle("away", step === 2);
    parts.before.classList.toggle("away", spt ? step < 4 : step < 2);
    parts.after.classList.toggle("away", !spt || step < 5);
    parts.token.classList.toggle("away", spt ? step < 6 : step < 2);
    const values = {
      ...tokenValues(model, row, column),
      row,
      column,
      half: model.patch_size / 2,
      numbers: parts.total,
      D: model.embed_dim,
    };
    const key = spt ? `step_${step}` : ["step_0", "step_0", "step_plain"][step];
    said.textContent = t(`token.${key}`, values);
    stage.setAttribute("aria-label", said.textContent);
    progress.textContent = t("token.progress", { i: step + 1, n: last() + 1 });
    back.disabled = first.disabled = step === 0;
    next.disabled = step === last();
  }

  function begin(atOnce = true) {
    clearInterval(timer);
    if (step === last()) go(0);
    play.textContent = pauseText;
    timer = setInterval(() => {
      if (state.view !== "token" || step === last()) {
        pause();
        return;
      }
      go(step + 1);
    }, STEP_MS);
    if (atOnce) go(step + 1);
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = playText;
  }

  return { show };
}

/** What the sentences about a token need: sizes of the patch and of the window, and how much of it is in the image. */
function tokenValues(model, row, column) {
  const size = model.patch_size,
    half = size / 2,
    side = model.image_size;
  const inside = (index) => Math.min(side, index * size + half) - Math.max(0, (index - 1) * size - half);
  return { P: size, W: 2 * size, area: 4, total: 4 * size * size, n: inside(row) * inside(column) };
}

function drawPhoto(target, model, row, column, spt) {
  const context = enlarge(target, seenImage(state.info, model), model.image_size, 12);
  const cell = 12 * model.patch_size;
  gridLines(context, model.grid_size, 45);
  if (spt) {
    context.setLineDash([12, 8]);
    drawFrame(context, (column - 1.5) * cell, (row - 1.5) * cell, 2 * cell);
    context.setLineDash([]);
  }
  drawFrame(context, (column - 1) * cell, (row - 1) * cell, cell);
  target.setAttribute("aria-label", t(spt ? "token.window_alt" : "token.window_alt_plain", { row, column }));
}

function drawGrid(target, rgb, model, row, column, index) {
  const context = enlarge(target, rgb, model.image_size, 6);
  const cell = 6 * model.patch_size;
  if (index) hatch(context, target.width, cell / 2, index);
  gridLines(context, model.grid_size, 60);
  drawFrame(context, (column - 1) * cell, (row - 1) * cell, cell);
}

/** Hatch the edges that a shift left empty: left-up leaves the right and the lower edge, and so on. */
function hatch(context, side, width, index) {
  const [left, up] = [index <= 2, index === 1 || index === 3];
  context.save();
  context.beginPath();
  context.rect(left ? side - width : 0, 0, width, side);
  context.rect(0, up ? side - width : 0, side, width);
  context.clip();
  context.strokeStyle = "#d55e00";
  context.lineWidth = 2;
  for (let offset = -side; offset < side; offset += 8) {
    context.beginPath();
    context.moveTo(offset, 0);
    context.lineTo(offset + side, side);
    context.stroke();
  }
  context.restore();
}

/** Numbers of one patch, [pixel][piece][colour], in the order [piece][pixel][colour]. */
function byPiece(numbers, number, size) {
  const ordered = [];
  for (let piece = 0; piece < number; piece += 1) {
    for (let pixel = 0; pixel < size * size; pixel += 1)
      ordered.push(...numbers.slice((pixel * number + piece) * 3, (pixel * number + piece + 1) * 3));
  }
  return ordered;
}

/** Numbers as a strip of cells, dark below zero and bright above; a gap between the pieces. */
function strip(numbers, number) {
  const image = h("canvas", { class: "pixels", "aria-hidden": "true", width: numbers.length + number - 1, height: 1 });
  const context = image.getContext("2d");
  numbers.forEach((value, index) => {
    const level = Math.round(255 / (1 + Math.exp(-1.6 * value)));
    context.fillStyle = `rgb(${level} ${level} ${level})`;
    context.fillRect(index + Math.floor((index * number) / numbers.length), 0, 1, 1);
  });
  return h("div", { class: "numbers" }, image);
}

function barcode(token, label) {
  const width = 4,
    height = 60,
    most = Math.max(...token.map(Math.abs)) || 1;
  const image = canvas(label, { width: token.length * width, height });
  const context = image.getContext("2d");
  context.fillStyle = css("--ink");
  token.forEach((value, index) => {
    const length = ((height / 2) * Math.abs(value)) / most;
    context.fillRect(index * width, value > 0 ? height / 2 - length : height / 2, width - 1, Math.max(1, length));
  });
  return image;
}
