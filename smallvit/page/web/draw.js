// Pixels, patches and maps on canvases.

import { h } from "./dom.js";
import { bytes } from "./api.js";

/** Draw RGB bytes [side, side, 3] crisp on a canvas; its size on the page is the style sheet's. */
export function pixels(canvas, rgb, side) {
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  for (let source = 0, target = 0; source < rgb.length; source += 3, target += 4) {
    image.data[target] = rgb[source];
    image.data[target + 1] = rgb[source + 1];
    image.data[target + 2] = rgb[source + 2];
    image.data[target + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Draw RGB bytes [side, side, 3], each pixel `scale` wide, for lines finer than a pixel; returns the context. */
export function enlarge(target, rgb, side, scale) {
  const small = pixels(document.createElement("canvas"), rgb, side);
  target.width = target.height = side * scale;
  const context = target.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, target.width, target.height);
  return context;
}

/** The lines between the patches of a square canvas; opacity in percent. */
export function gridLines(context, grid, opacity) {
  const side = context.canvas.width;
  context.strokeStyle = `rgb(255 255 255 / ${opacity}%)`;
  context.lineWidth = 1;
  for (let line = 1; line < grid; line += 1) {
    context.strokeRect((line * side) / grid, -1, 0, side + 2);
    context.strokeRect(-1, (line * side) / grid, side + 2, 0);
  }
}

export const canvas = (label, attributes = {}) =>
  h("canvas", { role: "img", "aria-label": label, class: "pixels", ...attributes });

/** The image of a photo at the size that a model sees, as RGB bytes. */
export const seenImage = (info, model) => bytes(info.seen[model.name]);

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The colour of a variant, as the style sheet has it. */
export const color = (variant) => css(`--${variant}`) || css("--ink");

/** An image with a map over it: strength of a patch 0 to 1 is how much of the colour covers a darkened image.
 *  Crossed patches are those that a mask hides. */
export function overlay(target, rgb, side, grid, strengths, tint, { crossed = [], framed = null } = {}) {
  const context = enlarge(target, rgb, side, 8);
  context.fillStyle = "rgb(0 0 0 / 55%)";
  context.fillRect(0, 0, target.width, target.height);
  const cell = target.width / grid;
  strengths.forEach((strength, index) => {
    context.globalAlpha = Math.min(1, Math.max(0, strength));
    context.fillStyle = tint;
    context.fillRect((index % grid) * cell, Math.floor(index / grid) * cell, cell, cell);
  });
  context.globalAlpha = 1;
  context.strokeStyle = "rgb(255 255 255 / 90%)";
  context.lineWidth = 2;
  for (const index of crossed) cross(context, (index % grid) * cell, Math.floor(index / grid) * cell, cell);
  if (framed !== null) drawFrame(context, (framed % grid) * cell, Math.floor(framed / grid) * cell, cell);
}

function cross(context, x, y, cell) {
  const inset = cell / 4;
  context.beginPath();
  context.moveTo(x + inset, y + inset);
  context.lineTo(x + cell - inset, y + cell - inset);
  context.moveTo(x + cell - inset, y + inset);
  context.lineTo(x + inset, y + cell - inset);
  context.stroke();
}

/** A frame that can be seen on any image: black, white, black. */
export function drawFrame(context, x, y, side) {
  for (const [line, style] of [
    [6, "#000"],
    [3, "#fff"],
  ]) {
    context.lineWidth = line;
    context.strokeStyle = style;
    context.strokeRect(x + 3, y + 3, side - 6, side - 6);
  }
}

/** A signed map: falls in one colour, rises in another; at most `most` in either direction. */
export function signed(target, rgb, side, grid, values, most, falls, rises, crossed) {
  overlay(target, rgb, side, grid, [], falls);
  const context = target.getContext("2d");
  const cell = target.width / grid;
  values.forEach((value, index) => {
    context.globalAlpha = Math.min(1, Math.abs(value) / (most || 1));
    context.fillStyle = value < 0 ? falls : rises;
    context.fillRect((index % grid) * cell, Math.floor(index / grid) * cell, cell, cell);
  });
  context.globalAlpha = 1;
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  for (const index of crossed) cross(context, (index % grid) * cell, Math.floor(index / grid) * cell, cell);
}
