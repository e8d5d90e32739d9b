"""The page in Chromium, as a visitor has it, with the bundled models.

Needs a Chromium; with REQUIRE_BROWSER=1 its absence is a failure. With SCREENSHOTS=FOLDER an image of every view is
kept there, for each width, theme and language.
"""

import csv
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from gradio_client import Client, handle_file
from playwright.sync_api import expect, sync_playwright

from smallvit import files
from smallvit.data import Dataset, Split
from smallvit.model_folder.folder import find_model_folders, read_model_folder
from smallvit.page.server.startup import create_server
from smallvit.report import EvaluatedModel, report
from tests import tiny
from tests.hub_server import hub_server
from tests.server import LION, ROOT, running_app, served, until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CAMERA = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
OWN = ("http://127.0.0.1:", "http://localhost:", "data:", "blob:")

expect.set_options(timeout=30_000)  # what comes late on a busy computer is no failure

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_BROWSER" not in os.environ, reason="needs Chromium: apt-get install chromium"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    with running_app(log=folder / "app.log", GRADIO_TEMP_DIR=str(folder / "uploads")) as address:
        yield address


@pytest.fixture(scope="module")
def client(url):
    return Client(url, verbose=False)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        # A container's root may not use Chromium's sandbox, and its /dev/shm is small.
        options = ["--no-sandbox", "--disable-dev-shm-usage", *OFFLINE, *CAMERA]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, url):
    """Open the page and wait for its answers. At the end nothing may have failed or left the host."""
    pages = []

    def open_page(width=1280, theme="light", lang="en", address=None, replaced=(), **context_options):
        """`replaced` are (old, new) texts of the page itself, for what the bundled models do not have."""
        permissions = ["clipboard-read", "clipboard-write", "camera"]
        size = {"width": width, "height": 844}
        context = browser.new_context(viewport=size, permissions=permissions, **context_options)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and page.errors.append(line.text))
        page.on("request", lambda request: request.url.startswith(OWN) or page.errors.append(request.url))
        pages.append(page)
        if replaced:

            def rewrite(route):
                html = route.fetch().text()
                for old, new in replaced:
                    assert old in html
                    html = html.replace(old, new)
                route.fulfill(body=html, content_type="text/html")

            page.route(re.compile(r"/\?"), rewrite)
        page.goto(address or f"{url}?__theme={theme}&lang={lang}")
        answered(page)
        return page

    yield open_page
    # Before one is closed: meanwhile the others could tell that a test's own server has ended.
    errors = [error for page in pages for error in page.errors]
    for page in pages:
        page.context.close()
    assert errors == []


def answered(page):
    """Wait until both answers in the bar are those of the photo that is shown."""
    # The first visit may come while the other processes of the tests have all cores.
    expect(page.locator("body.working")).to_have_count(0, timeout=120_000)
    expect(page.locator(".say .value").first).to_be_visible(timeout=120_000)
    return page


def open_view(page, view):
    """Open a view by its link, which on a phone is in a menu."""
    link = page.locator(f"nav a[href='#view={view}']")
    if not link.is_visible():
        page.locator(".menu summary").click()
    link.click()
    expect(page.locator(f"#view-{view}")).to_be_visible()


def said(page):
    """The answers of A and B as the bar has them: [(class, "54.3 %")]."""
    return [
        (line.locator("b").inner_text(), line.locator(".value").inner_text().replace("\u00a0", " "))
        for line in page.locator(".say").all()
    ]


def top(answer):
    best = answer["classes"][0]
    return best["name"], f"{100 * best['probability']:.1f} %"


def choose_example(page, name):
    button = page.locator(f"[data-example='{name}']")
    if not button.is_visible():
        page.get_by_role("button", name="More examples").click()
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    answered(page)


def set_range(locator, value):
    """Move a slider as a visitor does who drags it: only its `input` event comes."""
    locator.evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }", value
    )


def violations(page):
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]]


def test_it_opens_with_an_example_answered_its_truth_and_the_story(visit, client):
    page = visit()
    assert said(page) == [top(answer) for answer in client.predict(handle_file(LION), api_name="/classify")]
    expect(page.locator(".truth")).to_have_text("It is a lion")
    expect(page.locator("#story")).to_contain_text("It is a lion")
    expect(page.locator(".card.answer")).to_have_count(4)
    expect(page.locator("#view-photo > .take")).to_contain_text("lion")
    for answer in client.predict(handle_file(LION), api_name="/compare"):
        name = "Plain ViT" if answer["title"].startswith("ViT ·") else answer["title"].split(" · ")[0]
        card = page.locator(".card.answer", has=page.get_by_role("heading", name=name, exact=True))
        expect(card.locator(".said b")).to_have_text(answer["classes"][0]["name"])
        expect(card.locator(".bars li")).to_have_count(3)
        expect(card.locator(".said")).to_contain_text("right" if answer["classes"][0]["name"] == "lion" else "wrong")
    assert page.evaluate(LAYOUT_SHIFT) < 0.1  # the answers come into places that were kept for them


@pytest.mark.parametrize(
    ("width", "theme", "lang"),
    [
        (1280, "light", "en"),
        (390, "dark", "ko"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1280, "dark", "ko"), (390, "light", "en"))),
    ],
)
def test_every_view_fits_can_be_read_and_touched(visit, width, theme, lang, tmp_path):
    page = visit(width, theme, lang, reduced_motion="reduce")
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    bar = page.locator("#answer-bar .says").bounding_box()
    assert bar["y"] + bar["height"] < 844
    for view, has_content in VIEWS.items():
        open_view(page, view)
        has_content(page)
        assert violations(page) == [], view
        assert page.evaluate("document.documentElement.scrollWidth") == width, view
        assert page.evaluate(SMALL_TARGETS) == [], view
        assert "{" not in page.locator(f"#view-{view} > .take").inner_text()
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=folder / f"{view}-{width}-{theme}-{lang}.png", full_page=True)


LAYOUT_SHIFT = """new Promise(done => {
    const sum = list => done(list.getEntries().reduce((total, one) => total + one.value, 0));
    new PerformanceObserver(sum).observe({ type: 'layout-shift', buffered: true });
    setTimeout(done, 500, 0);
  })"""

VIEWS = {
    "photo": lambda page: expect(page.locator(".card.answer .bars i")).to_have_count(12),
    "token": lambda page: expect(page.locator(".stage .barcode:not(.away)")).to_be_visible(),
    "attention": lambda page: expect(page.locator("#view-attention .maps figure")).to_have_count(4),
    "temperature": lambda page: expect(page.locator("#view-temperature .chart").last).to_be_visible(),
    "robustness": lambda page: expect(page.locator(".moves")).to_have_count(2),
    "training": lambda page: expect(page.locator("#view-training .chart")).to_have_count(3),
    "use": lambda page: expect(page.locator("#view-use code").first).to_contain_text("import"),
}
# Under 44 px a finger misses. Words within a text need not have them.
SMALL_TARGETS = """[...document.querySelectorAll('button, a, select, input, summary')].filter(one => {
    const { width, height } = one.getBoundingClientRect();
    return width && height && !one.matches('.gloss, .sr, p > a:not(.links a), [type=checkbox]')
      && (Math.min(width, height) < 43.5);
  }).map(one => one.outerHTML.slice(0, 80))"""


def test_a_token_is_assembled_from_five_pieces_of_the_patch_that_is_clicked(visit):
    page = visit()
    VIEWS["photo"](page)  # later nothing else is being computed
    open_view(page, "token")
    expect(page.locator(".stage .piece")).to_have_count(5)
    page.locator("#view-token .patch-grid button").nth(8 * 5 + 2).click()
    expect(page.locator("#view-token .step")).to_contain_text("row 6, column 3")
    page.get_by_role("button", name="From the start").click()
    seen = []
    for step in range(7):
        expect(page.locator("#view-token")).to_contain_text(f"Step {step + 1} of 7")
        seen.append(page.locator("#view-token .step").inner_text())
        if step < 6:
            page.get_by_role("button", name="Next step").click()
    assert len(set(seen)) == 7
    patch = page.locator("#view-token .patch-grid button")
    page.route("**/queue/data*", lambda route: route.abort())  # the connection breaks
    patch.nth(0).click()
    expect(page.locator("#message")).to_be_visible()
    page.unroute("**/queue/data*")
    patch.nth(0).click()  # the same patch once more
    expect(page.locator("#view-token .step")).to_contain_text("row 1, column 1")
    patch.nth(8 * 5 + 2).click()
    broken = re.compile("ERR_FAILED|Failed to fetch|Connection errored out")
    page.errors = [error for error in page.errors if not broken.search(error)]
    assert "240 numbers" in seen[4]
    expect(page.locator(".barcode figcaption")).to_contain_text(re.compile(r"from −\d\.\d to \d\.\d"))
    page.locator("#view-token .patch-grid [tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#view-token > .take")).to_contain_text("8 × 8 pixels")
    for _ in range(7):
        page.keyboard.press("ArrowUp")
    expect(page.locator("#view-token > .take")).to_contain_text("At the image's edge")
    plain = page.locator("#view-token").get_by_role("button", name="Plain ViT")
    plain.press("Enter")
    expect(plain).to_be_focused()
    expect(page.locator(".stage .piece")).to_have_count(1)


def test_attention_of_the_clicked_patch_is_that_of_the_model(visit, client):
    page = visit()
    open_view(page, "attention")
    page.locator("#view-attention .patch-grid").first.locator("button").nth(8 * 5 + 2).click()
    set_range(page.locator("#view-attention").get_by_label(re.compile("^Layer")), 6)
    page.locator("#view-attention select").select_option("2")
    answer = client.predict(handle_file(LION), "laptop-vit", 6, 2, 6, 3, api_name="/attention")
    alt = re.compile(rf"layer 6, head 2: .*row 6, column 3 .*itself {100 * answer['weights'][5][2]:.1f}\s%")
    plain, modified = page.locator("#view-attention .pick canvas").all()
    expect(plain).to_have_attribute("aria-label", alt)
    expect(modified).to_have_attribute("aria-label", re.compile(r"itself 0\.0\s%"))
    expect(page.locator("#view-attention > .take")).to_contain_text("by design")
    page.get_by_label("Relative scale").check()
    expect(page.locator("#view-attention")).to_contain_text("Each map is scaled to its own maximum")


def test_the_slider_pulls_at_tau_and_the_answer_follows(visit, client, tmp_path):
    page = visit()
    before = said(page)
    # As if the page had been opened before its models were loaded.
    page.evaluate("import('./web/state.js').then(({ page }) => page.models.forEach(model => { model.tau = null; }))")
    choose_example(page, "lion")
    tau = np.array(client.predict("laptop-spt_lsa", api_name="/tau")["tau"])
    open_view(page, "temperature")
    expect(page.locator("#view-temperature > .take")).to_contain_text(f" to {tau[2].mean():.2f}")
    slider = page.locator("#factor")
    for power in (-0.9, -0.5, 0.3, 0.6, 0.9, np.log10(4)):  # dragged: the last position counts
        set_range(slider, power)
    factor = float(f"{10 ** round(np.log10(4), 2):.3g}")
    answer = client.predict(handle_file(LION), "laptop-spt_lsa", factor, True, api_name="/what_if")
    expect(page.locator(".say").nth(1).locator("b")).to_have_text(top(answer)[0])
    expect(page.locator(".what-if")).to_contain_text("What if: τ × 4, all layers")
    expect(page.locator(".say").nth(1).locator(".value")).to_have_text(top(answer)[1].replace(" ", "\u00a0"))
    expect(page.locator("#view-temperature > .take")).to_contain_text("With τ × 4 in all layers, ViT + SPT + LSA")
    assert said(page)[0] == before[0]
    open_view(page, "robustness")  # a change stays in sight, and in force, in every view
    expect(page.locator(".what-if")).to_be_visible()
    page.get_by_role("button", name="Undo all changes").click()
    expect(page.locator(".what-if")).to_be_hidden()
    assert said(page) == before

    open_view(page, "temperature")
    page.locator("#mask").check()
    without_mask = client.predict(handle_file(LION), "laptop-spt_lsa", 1.0, False, api_name="/what_if")
    expect(page.locator(".say").nth(1).locator(".value")).to_have_text(top(without_mask)[1].replace(" ", "\u00a0"))
    expect(page.locator(".what-if")).to_contain_text("mask off")
    page.locator("#view-temperature summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    download.value.save_as(tmp_path / "tau.csv")
    values = [float(row["tau"]) for row in csv.DictReader((tmp_path / "tau.csv").open()) if "LSA" in row["model"]]
    assert values == pytest.approx(np.ravel(tau))


def test_the_photo_is_moved_and_covered(visit):
    page = visit()
    before = said(page)
    open_view(page, "robustness")
    modified = page.locator(".moves").nth(1)
    cell = modified.locator("button").nth(9 * 8 + 1)
    label = cell.get_attribute("aria-label").replace("\u00a0", " ")
    assert label.startswith("3 px left, 4 px down: ")
    cell.click()
    expect(page.locator(".what-if")).to_contain_text("moved 3 px left, 4 px down")
    expect(page.locator(".say").nth(1)).to_contain_text(label.split(": ")[1].split(",")[0])
    page.get_by_role("button", name="Back to the unmoved photo").click()
    expect(page.locator(".what-if")).to_be_hidden()
    expect(modified.locator("button")).to_have_count(81)
    unchanged = 80 - modified.locator(".other").count()
    expect(page.locator("#view-robustness > .take")).to_contain_text(re.compile(rf"\b{unchanged}\b"))

    patches = page.locator("#view-robustness .patch-grid button")
    for index in (27, 28, 35):
        patches.nth(index).click()
    expect(page.locator(".what-if")).to_contain_text("3 of 64 patches covered")
    expect(page.locator("#view-robustness")).to_contain_text("With 3 of 64 patches covered")
    patches.nth(27).focus()
    page.keyboard.press("Space")
    expect(page.locator(".what-if")).to_contain_text("2 of 64 patches covered")
    expect(page.locator("#view-robustness")).to_contain_text("With 2 of 64 patches covered")
    page.route("**/queue/join*", lambda route: route.abort())
    patches.nth(27).click()
    cell.click()
    expect(page.locator("#message")).to_be_visible()
    expect(page.locator(".what-if")).to_contain_text("3 of 64 patches covered, moved 3 px left, 4 px down")
    expect(page.locator("#view-robustness")).to_contain_text("With 2 of 64 patches covered")  # answered so far
    expect(page.locator("#view-robustness [role=status]")).to_have_text("")
    page.unroute("**/queue/join*")
    patches.nth(28).click()
    patches.nth(28).click()
    expect(page.locator("#view-robustness")).to_contain_text("With 3 of 64 patches covered")
    expect(page.locator("#view-robustness [role=status]")).to_contain_text("Moved 3 px left, 4 px down")
    page.get_by_role("button", name="Back to the unmoved photo").click()
    page.get_by_role("button", name="Uncover all").click()
    expect(page.locator(".what-if")).to_be_hidden()
    assert said(page) == before
    page.errors = [error for error in page.errors if "ERR_FAILED" not in error and "Submit" not in error]


def test_the_gallery_sorts_examples_and_any_model_can_be_compared(visit):
    page = visit()
    gallery = page.locator(".gallery")
    expect(gallery).to_contain_text("of 10,000 test images differently")
    names = ("both right", "only Plain ViT right", "only ViT + SPT + LSA right", "both wrong")
    found = 0
    for name, cell in zip(names, ("both", "first", "second", "neither"), strict=True):
        gallery.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).click()
        expect(gallery.locator("[data-cell]")).to_have_attribute("data-cell", cell)
        found += gallery.locator("[data-photo*=example]").count()
    assert 20 < found <= len(list((ROOT / "assets/examples").glob("*.jpg")))  # at most 12 are shown at once
    photo = gallery.locator(".thumbs button").first
    truth = photo.locator("span").inner_text()
    photo.click()
    expect(page.locator(".truth")).to_contain_text(truth)
    answered(page)
    page.locator(".card.answer").nth(1).get_by_role("button", name="Use as B").press("Enter")
    expect(page.locator(".card.answer").nth(1).get_by_role("button", name="Model B")).to_be_focused()
    expect(page.locator(".say").nth(1)).to_contain_text("ViT + SPT")
    expect(gallery).to_contain_text("only ViT + SPT right")
    page.evaluate(CHOOSE_A_CELL_AND_ANOTHER_MODEL)
    page.wait_for_timeout(2000)  # the answer about the pair before comes, and is dropped
    expect(gallery.locator(".thumbs button")).to_have_count(0)
    expect(gallery.get_by_role("button", name="Show more")).to_be_hidden()


CHOOSE_A_CELL_AND_ANOTHER_MODEL = """() => {
    document.querySelector('.gallery .cells button').click();
    document.querySelectorAll('.card.answer')[2].querySelectorAll('.row button')[1].click();
  }"""


def test_live_answers_follow_the_camera_until_it_is_stopped(visit):
    page = visit()
    page.get_by_role("button", name="Camera", exact=True).click()
    live = page.locator(".camera")
    expect(live.locator(".bars")).to_have_count(2)
    expect(live.locator(".take")).to_contain_text("times a second")
    open_view(page, "token")
    open_view(page, "photo")
    expect(live.get_by_role("button", name="Stop")).to_be_disabled()
    live.get_by_role("button", name="Start").click()
    live.get_by_role("button", name="Keep this frame").click()
    answered(page)
    expect(page.locator(".truth")).to_have_text("Truth not known")
    expect(live.get_by_role("button", name="Stop")).to_be_disabled()


def test_a_browser_without_a_camera_gets_one_sentence(visit):
    page = visit()
    refused = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))"
    page.evaluate(f"() => {{ {refused} }}")
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.locator("#message")).to_contain_text("No camera was found; connect one, or upload a photo.")


def test_a_camera_that_comes_after_its_panel_was_closed_is_stopped(visit):
    page = visit()
    page.evaluate(SLOW_CAMERA)
    page.on("request", lambda request: "frame" in (request.post_data or "") and page.errors.append("a frame was sent"))
    button = page.get_by_role("button", name="Camera", exact=True)
    button.click()
    button.click()  # closed while the browser asks
    expect(page.locator(".camera")).to_be_hidden()
    page.evaluate("allow()")
    assert page.evaluate("ended()") == [True]
    assert page.locator(".camera").get_by_role("button", name="Stop", include_hidden=True).is_disabled()


SLOW_CAMERA = """() => {
    window.ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    const allowed = new Promise(done => { window.allow = () => done(); });
    const streams = [];
    navigator.mediaDevices.getUserMedia = async options => {
      await allowed;
      streams.push(await ask(options));
      return streams.at(-1);
    };
    window.ended = async () => {
      while (!streams.length) await new Promise(done => setTimeout(done, 50));
      await new Promise(done => setTimeout(done, 500));
      return streams.flatMap(one => one.getTracks()).map(one => one.readyState === 'ended');
    };
  }"""


def test_of_several_files_the_first_is_used_and_a_sentence_says_so(visit):
    page = visit()
    page.evaluate(
        """async () => {
          const blob = await (await fetch('example/cup.jpg')).blob();
          const transfer = new DataTransfer();
          for (const name of ['one.jpg', 'two.jpg']) transfer.items.add(new File([blob], name));
          dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));
        }"""
    )
    expect(page.locator("#message")).to_contain_text("Several files were dropped and the first is used")
    answered(page)
    expect(page.locator(".truth")).to_have_text("Truth not known")


def test_the_photo_that_was_chosen_last_is_shown(visit):
    page = visit()
    uploads = []
    page.route("**/upload*", lambda route: uploads.append(route))  # one that takes long
    with page.expect_request("**/upload*"):
        page.set_input_files("#file", LION)
    page.route("**/queue/join*", lambda route: None, times=1)  # and a photo that never comes
    page.locator("[data-example]").nth(0).click()
    last = page.locator("[data-example]").nth(1)
    last.click()
    expect(page.locator(".truth")).to_contain_text(last.inner_text())
    with page.expect_response("**/upload*"):
        uploads[0].continue_()
    page.wait_for_timeout(500)
    answered(page)
    expect(page.locator(".truth")).to_contain_text(last.inner_text())


def test_a_variant_that_the_page_does_not_know_is_shown_by_its_title(visit):
    page = visit(replaced=[('"variant": "lsa"', '"variant": "new"'), ('"title": "ViT + LSA"', '"title": "ViT + New"')])
    expect(page.locator(".card.answer")).to_have_count(4)
    expect(page.locator(".card.answer h3").nth(2)).to_have_text("ViT + New")
    expect(page.locator("footer")).not_to_contain_text("Each model was trained once.")  # it names the four variants
    open_view(page, "training")
    expect(page.locator("#view-training .chart")).to_have_count(3)


def test_nothing_is_said_about_a_class_that_the_models_do_not_have(visit, url):
    lion = f"{url}?lang=en#view=photo&example=lion"
    page = visit(address=lion, replaced=[('"leopard", "lion",', '"leopard", "wombat",')])
    expect(page.locator(".card.answer .bars i")).to_have_count(12)
    expect(page.locator(".truth")).to_have_text("Truth not known")
    expect(page.locator(".right, .wrong")).to_have_count(0)
    for place in ("#story", "#view-photo > .take"):
        expect(page.locator(place)).not_to_contain_text("a lion")
    expect(page.locator("[data-example]")).to_have_count(8)
    expect(page.locator("[data-example=lion]")).to_have_count(0)


def test_a_model_that_comes_later_is_shown_without_a_reload(visit):
    folder = '"folder": "assets/models/laptop-spt"}, "status": '
    pair = '"pair": ["laptop-vit", "laptop-'
    page = visit(replaced=[(f'{folder}"here"', f'{folder}"downloading"'), (f'{pair}spt_lsa"', f'{pair}lsa"')])
    expect(page.locator(".card.answer")).to_have_count(4)
    expect(page.locator(".who").nth(1)).to_have_text("ViT + SPT + LSA")  # the pair to open with is another one now
    page.locator(".card.answer").nth(1).get_by_role("button", name="Use as A").click()
    open_view(page, "attention")
    canvas = page.locator("#view-attention .pick canvas").first
    expect(canvas).to_have_attribute("aria-label", re.compile(r"^ViT \+ SPT, layer"))


def test_a_page_of_one_model_speaks_of_one(visit, tmp_path, monkeypatch):
    tiny.write_folder(tmp_path / "one", "spt_lsa")
    (tmp_path / "one/examples").mkdir()
    (tmp_path / "one/examples/unknown.jpg").write_bytes(LION.read_bytes())
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with served(create_server([tmp_path / "one"])) as (_, address):
        page = visit(address=f"{address}?lang=en")
        take = page.locator("#view-photo > .take")
        expect(take).to_contain_text(re.compile(r"^ViT \+ SPT \+ LSA answers [\w ]+\. Only you can say"))
        expect(page.locator("#view-photo > .intro")).to_have_text("")
        expect(page.locator("#view-photo")).to_contain_text("reduced to 32 × 32 pixels")  # and computed on as 12 x 12
        expect(page.locator("#view-photo")).not_to_contain_text("Photo: ,")  # nobody is credited
        open_view(page, "robustness")
        expect(page.locator("#view-robustness .grow > .caption").nth(1)).to_contain_text("The edge's pixels")
        expect(page.locator("#view-robustness")).not_to_contain_text("is a whole patch")  # of 10.7 pixels
        open_view(page, "photo")
        page.get_by_role("button", name="Camera", exact=True).click()
        expect(page.locator(".camera .take")).to_contain_text("ViT + SPT + LSA answers")


def test_what_is_refused_gets_one_message_and_the_page_goes_on(visit, url, tmp_path):
    page = visit(390)
    (tmp_path / "text.jpg").write_bytes(b"no image at all, but long enough to be looked at" * 9)
    (tmp_path / "empty.png").write_bytes(b"")
    with open(tmp_path / "huge.jpg", "wb") as file:
        file.truncate(20 * 2**20 + 1)
    too_large = "20.1 MB; choose one of up to 20 MB"
    page.get_by_role("button", name="Any example").scroll_into_view_if_needed()
    for name, message in (("huge.jpg", too_large), ("empty.png", "file is empty"), ("text.jpg", "no image")):
        page.set_input_files("#file", tmp_path / name)
        expect(page.locator("#message")).to_contain_text(message)
        expect(page.locator("#message")).to_be_in_viewport()
    expect(page.locator(".say .value")).to_have_count(0)  # the answers to the photo before are gone
    expect(page.locator("#story")).to_be_hidden()
    page.get_by_role("button", name="Image URL").click()
    page.locator("input[type=url]").fill(f"{url}config")
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.locator("#message")).to_contain_text("not on the public internet")
    page.set_input_files("#file", LION)
    answered(page)
    expect(page.locator("#message")).to_be_hidden()
    expect(page.locator(".truth")).to_have_text("Truth not known")
    page.errors = [error for error in page.errors if "Submit function" not in error]  # the client logs what it throws


def test_a_link_or_an_image_is_shared_and_a_damaged_link_says_so(visit, url, tmp_path):
    page = visit()
    choose_example(page, "rocket")
    open_view(page, "temperature")
    set_range(page.locator("#factor"), 0.3)
    expect(page.locator(".what-if")).to_contain_text("τ × 2")
    page.locator(".settings").click()
    page.get_by_role("button", name="Swap A and B").click()
    page.get_by_role("button", name="Done").click()
    set_range(page.locator("#factor"), 0.3)
    expect(page.locator(".what-if")).to_contain_text("τ × 2")
    page.locator(".settings").click()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("dialog")).to_contain_text("Link copied.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as image").click()
    download.value.save_as(tmp_path / "shared.png")
    assert (tmp_path / "shared.png").read_bytes().startswith(b"\x89PNG")
    other = visit(address=page.evaluate("navigator.clipboard.readText()"))
    expect(other.locator("#view-temperature")).to_be_visible()
    expect(other.locator(".what-if")).to_contain_text("τ × 2")
    until(lambda: said(other) == said(page))  # each page follows its own slider
    assert other.locator(".who").first.inner_text() == "ViT + SPT + LSA"
    damaged = visit(address=f"{url}?lang=en#view=hold&example=lion&row=x&a=laptop-none")
    for sentence in ("Part of this link cannot be read", "This link names laptop-none, which is not here"):
        expect(damaged.locator("#message")).to_contain_text(sentence)
    expect(damaged.locator("#view-robustness")).to_be_visible()  # "hold" is its name in older links
    expect(damaged.locator(".what-if")).to_be_hidden()
    for changes in ("change=laptop-spt&factor=2", "change=laptop-spt_lsa&factor=2&in=99", "covered=", "covered=-1"):
        assert damaged.evaluate(READ_LINK, f"#view=photo&example=lion&{changes}") == [["damaged"], 1, []], changes


READ_LINK = """async link => {
    history.replaceState({}, '', link);
    const { notes, changes } = (await import('./web/state.js')).readLink();
    return [notes, changes.factor, changes.covered];
  }"""


def test_the_back_button_returns_to_the_view_before(visit):
    page = visit()
    open_view(page, "attention")
    page.go_back()
    expect(page.locator("#view-photo")).to_be_visible()
    page.go_forward()
    expect(page.locator("#view-attention")).to_be_visible()
    assert page.locator(".say .value").count() == 2  # the page was not loaded anew


def test_words_are_explained_and_the_language_can_be_switched(visit):
    page = visit()
    open_view(page, "attention")
    page.locator("#view-attention .gloss").first.focus()
    expect(page.locator(".bubble")).to_contain_text("layer")
    page.get_by_role("button", name="Switch to Korean").click()
    answered(page)
    expect(page.locator("#view-attention")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.locator(".who").first).to_have_text("기본 ViT")


def test_results_and_code_are_those_of_the_folders(visit):
    page = visit()
    open_view(page, "training")
    for folder in find_model_folders(files.BUNDLED_MODELS):
        record = read_model_folder(folder).record
        row = page.locator("#view-training tr", has_text=f"{record.parameters:,}")
        expect(row.filter(has_text=f"{100 * record.metrics['test']['top1']:.1f}").first).to_contain_text(record.preset)
    open_view(page, "use")
    for text in ('load_model("assets/models/laptop-spt_lsa")', "python train.py --preset laptop", "@article{lee2021vi"):
        expect(page.locator("#view-use")).to_contain_text(text)


def test_models_from_the_hub_are_named_while_they_come_and_then_compared(visit, tmp_path, monkeypatch):
    """One has a finer grid than all that was known when the page was opened."""
    tiny.write_folder(tmp_path / "vit", "vit")
    tiny.write_folder(tmp_path / "fine", "spt_lsa", replace(tiny.MODEL, image_size=28, patch_size=2))
    with hub_server() as hub:
        for name in ("vit", "fine"):
            hub.put_folder(f"ada/{name}", tmp_path / name)
        hub.use(monkeypatch, tmp_path / "home")
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
        with served(create_server(["ada/vit", "ada/fine"])) as (_, address):
            page = visit(address=f"{address}?lang=en")
            page.reload()
            answered(page)
            open_view(page, "attention")
            fine = page.locator("#view-attention .patch-grid").last
            expect(fine.locator("button")).to_have_count(14 * 14)
            fine.locator("button").last.click()
            canvas = page.locator("#view-attention .pick canvas").last
            expect(canvas).to_have_attribute("aria-label", re.compile("row 14, column 14"))
            page.locator(".settings").click()
            page.get_by_role("button", name="Swap A and B").click()
            page.get_by_role("button", name="Done").click()
            open_view(page, "robustness")
            page.locator("#view-robustness .patch-grid button").last.click()  # the other model has no such patch
            expect(page.locator(".what-if")).to_contain_text("1 of 196 patches covered")
            expect(page.locator(".was")).to_have_count(1)
            expect(page.locator(".say .value")).to_have_count(2)
            expect(page.locator("#message")).to_be_hidden()


def test_a_report_opens_from_the_disk_and_asks_for_nothing(browser, tmp_path, rng):
    test = Split(rng.integers(0, 256, (300, 32, 32, 3), np.uint8), np.arange(300, dtype=np.int32) % 100)
    records = [read_model_folder(folder).record for folder in find_model_folders(files.BUNDLED_MODELS)[2:]]
    models = [
        EvaluatedModel(record, rng.permutation(test.labels), rng.random(300), np.ones(300, bool)) for record in records
    ]
    data = Dataset("CIFAR-100", test, test, records[0].class_names, (0.5,) * 3, (0.2,) * 3)
    file = tmp_path / "report.html"
    file.write_text(report(models, data), encoding="utf-8")
    for width, theme in ((1280, "light"), (390, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
        problems = []
        page.on("console", lambda line, told=problems: told.append(line.text))  # also what its own policy blocks
        page.on("request", lambda one, told=problems: one.url.startswith(("file:", "data:")) or told.append(one.url))
        page.goto(file.as_uri())
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator(".matrix").count() == len(models)
        assert page.evaluate("[...document.images].map(image => image.naturalWidth)") == [32] * 24 * len(models)
        assert problems == []
        page.close()
