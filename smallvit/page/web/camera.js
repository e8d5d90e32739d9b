// The camera: frames go to the server one after the other, and both answers follow.

import { call, PageError } from "./api.js";
import { bars } from "./probability_bars.js";
import { button, fill, h } from "./dom.js";
import { showMessage } from "./status.js";
import { list, t } from "./text.js";
import { modelNamed, pairNames, subscribe } from "./state.js";
import { answerName, titleOf } from "./words.js";

const SIDE = 160; // pixels of a frame that is sent; the bundled models see 32
const MINUTES = 10;

export function makeCamera(keep) {
  const [startText, stopText, keepText] = list("camera.buttons");
  const [waiting, off] = list("camera.states");
  const video = h("video", { muted: true, playsinline: true, "aria-label": t("camera.title") });
  const answers = h("div", { class: "cards" });
  const statusLine = h("p", { class: "take small" });
  const startButton = button(startText, start);
  const stopButton = button(stopText, () => stop(off), { disabled: true });
  const keepButton = button(
    keepText,
    () =>
      shot(640)?.toBlob(
        (blob) => {
          stop(off);
          keep(blob);
        },
        "image/jpeg",
        0.92,
      ),
    { disabled: true },
  );
  const element = h(
    "div",
    { class: "camera", hidden: true },
    h("h3", {}, t("camera.title")),
    h("p", { class: "caption" }, `${t("camera.intro")} ${t("camera.privacy")}`),
    video,
    h("div", { class: "row" }, startButton, stopButton, keepButton),
    statusLine,
    answers,
  );
  let stream = null;
  let round = 0;

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      showMessage(t(isSecureContext ? "error.camera_none" : "error.camera_insecure"));
      return;
    }
    const own = ++round; // another one if the panel is closed while the browser asks
    startButton.disabled = true;
    statusLine.textContent = waiting;
    try {
      const opened = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: 640 } });
      if (own !== round) {
        for (const track of opened.getTracks()) track.stop();
        return;
      }
      stream = opened;
      video.srcObject = stream;
      await video.play();
    } catch (error) {
      if (own !== round) return;
      stop("");
      const key = { NotAllowedError: "denied", NotReadableError: "busy" }[error.name] ?? "none";
      showMessage(t(`error.camera_${key}`));
      return;
    }
    if (own !== round) return;
    stopButton.disabled = keepButton.disabled = false;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => stop(list("error.camera_ended")[0]));
    follow(own);
  }

  async function follow(own) {
    const began = performance.now();
    let times = [];
    while (own === round && stream) {
      if (performance.now() - began > MINUTES * 60_000) {
        stop(list("error.camera_ended", { minutes: MINUTES })[1]);
        return;
      }
      try {
        const frame = shot(SIDE).toDataURL("image/jpeg", 0.85).split(",")[1];
        const got = await call("/page_live", { frame, models: pairNames() });
        if (own !== round) return;
        times = [...times, performance.now()].slice(-10);
        const fps = times.length > 1 ? ((1000 * (times.length - 1)) / (times.at(-1) - times[0])).toFixed(0) : "…";
        showAnswers(got, fps);
      } catch (error) {
        stop(error instanceof PageError ? error.message : t("error.unexpected"));
        return;
      }
    }
  }

  function showAnswers(got, fps) {
    const [a, b] = got.map((answer) => [modelNamed(answer.model), answer]);
    statusLine.dataset.fps = fps;
    if (!b) statusLine.textContent = t("camera.T.single", { model: titleOf(a[0]), answer: answerName(...a), fps });
    else if (answerName(...a) === answerName(...b))
      statusLine.textContent = t("camera.T.same", { answer: answerName(...a), fps });
    else
      statusLine.textContent = t("camera.T.differ", {
        A: titleOf(a[0]),
        answerA: answerName(...a),
        B: titleOf(b[0]),
        answerB: answerName(...b),
        fps,
      });
    fill(
      answers,
      got.map((answer) =>
        h(
          "div",
          { class: "card", "data-variant": modelNamed(answer.model).variant },
          h("h4", {}, titleOf(modelNamed(answer.model))),
          bars(modelNamed(answer.model), answer),
        ),
      ),
    );
  }

  function stop(text) {
    round += 1;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    stopButton.disabled = keepButton.disabled = true;
    startButton.disabled = false;
    statusLine.textContent = text;
  }

  function shot(side) {
    if (!video.videoWidth) return null;
    const length = Math.min(video.videoWidth, video.videoHeight);
    const canvas = h("canvas", { width: side, height: side });
    canvas
      .getContext("2d")
      .drawImage(
        video,
        (video.videoWidth - length) / 2,
        (video.videoHeight - length) / 2,
        length,
        length,
        0,
        0,
        side,
        side,
      );
    return canvas;
  }

  const stopIfOn = () => startButton.disabled && stop(off);
  subscribe((changed) => (changed.has("view") || changed.has("photo")) && stopIfOn());
  document.addEventListener("visibilitychange", () => document.hidden && stopIfOn());

  return {
    element,
    toggle() {
      element.hidden = !element.hidden;
      document.getElementById("camera").setAttribute("aria-expanded", !element.hidden);
      if (element.hidden) stop(off);
      else start();
    },
  };
}
