"""The page in Chromium, as a visitor has it, with the bundled models.

Needs a Chromium; with REQUIRE_BROWSER=1 its absence is a failure. With SCREENSHOTS=FOLDER every view is kept there as a
image, of each width and theme.
"""

import csv
import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from gradio_client import Client, handle_file
from playwright.sync_api import expect, sync_playwright

from smallvit import files
from smallvit.config import VARIANTS
from smallvit.data import Dataset, Split
from smallvit.data.superclasses import SUPERCLASSES
from smallvit.layers.tokenization import SHIFT_NAMES
from smallvit.model_folder.folder import find_model_folders, read_model_folder
from smallvit.page.build import LAUNCH_OPTIONS, build_demo
from smallvit.page.server.models import ModelStore
from smallvit.page.texts import TEXTS
from smallvit.report import EvaluatedModel, report
from tests import tiny
from tests.hub_server import hub_server
from tests.image_corpus import BAD
from tests.server import ROOT, free_port, running_app

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
VIEWS = ("compare", "patches", "temperature", "attention", "shift_test", "training", "usage")
LION = ROOT / "assets/examples/lion.jpg"

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
        options = ["--no-sandbox", "--disable-dev-shm-usage", *OFFLINE]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, url):
    """Open the page: visit(width, theme, locale, path). At the end nothing may have failed or left the host."""
    pages = []

    def open_page(width=1280, theme="light", locale="en-US", address=None):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=locale, permissions=["clipboard-read", "clipboard-write"]
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and page.errors.append(line.text))
        page.on("request", lambda request: _is_ours(request.url) or page.errors.append(request.url))
        page.texts = TEXTS[locale[:2]]
        page.goto(address or f"{url}?__theme={theme}")
        # The first visit may come while the other processes of the tests have all cores.
        expect(page.locator("#image input[type=file]")).to_be_attached(timeout=120_000)
        expect(page.locator("#answer-left .facts")).to_be_visible()
        pages.append(page)
        return page

    yield open_page
    # Before one is closed: meanwhile the others could tell that a test's own server has ended.
    errors = [error for page in pages for error in page.errors]
    for page in pages:
        page.context.close()
    assert errors == []


def _is_ours(address):
    return address.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:"))


def upload(page, file=LION):
    page.set_input_files("#image input[type=file]", file)


def answered(page):
    expect(page.locator(".answer li")).to_have_count(10)
    return page


def take_away(page):
    page.locator("#image").get_by_label("Remove Image").click()
    expect(page.locator(".answer li")).to_have_count(0)


def open_view(page, view):
    """Open a view by its tab, which on a phone may be in a menu."""
    tab = page.get_by_role("tab", name=page.texts[f"tab_{view}"], exact=True)
    if tab.is_visible():
        tab.click()
    else:
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button", has_text=page.texts[f"tab_{view}"]).click()


def shown(page, name):
    """A drawn image once it is there."""
    image = page.locator(f"#{name} img")
    image.scroll_into_view_if_needed()
    expect(image).to_have_js_property("complete", True)
    page.wait_for_function(f"document.querySelector('#{name} img')?.naturalWidth > 50")
    return image


def alternative_text(page, name, pattern):
    expect(shown(page, name)).to_have_attribute("alt", re.compile(pattern))


def settle(page):
    """Wait until nothing is computed any more, and no fading of it is under way."""
    expect(page.locator(".pending:visible, .generating:visible")).to_have_count(0)
    page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")


def link_to_the_result(page):
    """The address that the page copies."""
    open_view(page, "compare")
    page.get_by_role("button", name="Copy a link to this result").click()
    for _ in range(100):  # a function to wait for must not be asynchronous
        if "deep_link" in (link := page.evaluate("navigator.clipboard.readText()")):
            return link
        page.wait_for_timeout(100)
    return pytest.fail("no link was copied")


def set_slider(page, label, value):
    field = page.get_by_label(f"number input for {label}")
    field.fill(str(value))
    field.press("Enter")


EXPECTED = {
    "compare": lambda page: answered(page),
    "patches": lambda page: [shown(page, f"grid-{name.lower()}") for name in SHIFT_NAMES] and shown(page, "piece-spt"),
    "temperature": lambda page: expect(page.locator("#tau-left canvas, #tau-left svg").first).to_be_visible(),
    "attention": lambda page: [shown(page, name) for name in ("attention-left", "attention-right", "rollout-right")],
    "shift_test": lambda page: [shown(page, name) for name in ("shift_test-left", "shift_test-right")],
    "training": lambda page: expect(page.locator("#results")).to_contain_text("ViT + SPT + LSA"),
    "usage": lambda page: expect(page.locator("#usage-client")).to_contain_text("gradio_client"),
}


def run_axe(page, theme):
    """What breaks axe-core's rules for names, roles and contrast; in the dark theme for contrast only."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if theme == "dark" else {})
    violations = Axe().run(page, options=options).response["violations"]
    return [(rule["id"], node["html"]) for rule in violations for node in rule["nodes"]]


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_every_view_opens_fits_and_can_be_read(visit, width, theme, tmp_path):
    page = visit(width, theme)
    upload(page)
    if width == 1280:
        first_view_needs_no_scrolling(answered(page))
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    for view in VIEWS:
        open_view(page, view)
        EXPECTED[view](page)
        settle(page)
        assert run_axe(page, theme) == [], view
        assert page.evaluate("document.documentElement.scrollWidth") == width, view
        page.evaluate("scrollTo(0, 0)")
        screenshot = folder / f"{view}-{width}-{theme}.png"
        page.screenshot(path=screenshot, full_page=view != "compare")
        assert screenshot.stat().st_size > 10_000
        for image in page.locator(".pixel-image img:visible").all():
            assert image.get_attribute("alt")
            assert image.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"


def first_view_needs_no_scrolling(page):
    for name in ("#image", "#model-input", "#answer-left .facts", "#answer-right .facts", "#verdict"):
        box = page.locator(name).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800, name


def answered_page(visit, **options):
    page = visit(**options)
    upload(page)
    return answered(page)


def test_answers_attention_and_shift_test_are_those_of_the_models(visit, client):
    page = answered_page(visit)
    answers = client.predict(handle_file(LION), api_name="/classify")
    for side, answer in zip(("left", "right"), answers, strict=True):
        card = page.locator(f"#answer-{side}")
        rows = [re.sub(r"\s+", " ", row.inner_text()).strip() for row in card.locator("li").all()]
        assert rows == [f"{entry['name']} {100 * entry['probability']:.1f} %" for entry in answer["classes"]]
        expect(card.locator(".top-class")).to_have_text(answer["classes"][0]["name"])
        expect(card).to_contain_text(re.compile(r"Test accuracy 6\d\.\d %.*parameters.*\d ms", re.DOTALL))
        assert card.get_by_text("Low confidence").count() == answer["unsure"]
    same = answers[0]["classes"][0]["name"] == answers[1]["classes"][0]["name"]
    expect(page.locator("#verdict")).to_contain_text("Both models answer" if same else "The models disagree")
    expect(page.locator("#verdict")).to_contain_text("Same recipe, same data")

    open_view(page, "attention")
    alternative_text(page, "attention-left", "layer 3, mean of the heads.*row 4, column 4")
    box = shown(page, "attention-right").bounding_box()
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    page.mouse.click(left + side * 0.3, top + side * 0.7)
    alternative_text(page, "attention-left", "row 6, column 3")
    set_slider(page, "Layer", 6)
    alternative_text(page, "attention-right", "layer 6.*row 6, column 3")
    page.get_by_label("Head", exact=True).click()
    page.get_by_role("option", name="2", exact=True).click()
    alternative_text(page, "attention-left", "layer 6, head 2: .*row 6, column 3")
    answer = client.predict(handle_file(LION), "laptop-vit", 6, 2, 6, 3, api_name="/attention")
    expect(page.locator("#attention-caption-left")).to_contain_text(f"itself {100 * answer['weights'][5][2]:.1f} %")
    expect(page.locator("#attention-caption-right")).to_contain_text("itself 0.0 %")

    open_view(page, "shift_test")
    for side in ("left", "right"):
        best = page.locator(f"#answer-{side} .top-class").text_content()
        alternative_text(page, f"shift_test-{side}", rf"probability of {best} .* in \d+ of 81 places")
        expect(page.locator(f"#shift_test-caption-{side}")).to_contain_text(f"answers {best} in")

    open_view(page, "compare")
    take_away(page)
    expect(page.locator("#verdict")).to_contain_text("There is no image")


def test_without_an_image_the_views_ask_for_one_and_an_example_is_a_click_away(visit):
    page = visit()
    for view in ("patches", "attention", "shift_test"):
        open_view(page, view)
        expect(page.locator(f"#{view}-note")).to_contain_text("There is no image")
    open_view(page, "compare")
    page.get_by_text("motorcycle", exact=True).first.click()
    answered(page)
    assert page.locator("#classes dt").count() == 0
    page.get_by_role("button", name="Training data and all classes").click()
    expect(page.locator("#classes dt")).to_have_count(len(SUPERCLASSES))
    expect(page.locator("#classes")).to_contain_text("aquarium fish, flatfish, ray, shark, trout")


def test_patches_are_chosen_and_temperatures_downloaded(visit, client, tmp_path):
    page = answered_page(visit)
    open_view(page, "patches")
    alternative_text(page, "piece-spt", "row 4, column 4")
    box = shown(page, "grid-left-up").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.55)
    alternative_text(page, "piece-spt", "row 5, column 8")
    alternative_text(page, "piece-plain", "row 5, column 8")
    set_slider(page, "Row of the patch", 6)
    alternative_text(page, "piece-spt", "row 6, column 8")
    with page.expect_download() as download:
        page.locator("#grid-right-down").hover()
        page.locator("#grid-right-down").get_by_label("Download").click()
    assert download.value.suggested_filename.endswith(".png")

    open_view(page, "temperature")
    tau = client.predict("laptop-spt_lsa", api_name="/tau")["tau"]
    expect(page.locator("#tau-summary")).to_contain_text(f"lies between {min(map(min, tau)):.2f} and")
    expect(page.locator("#tau-table")).to_contain_text(f"{tau[0][1]:.3f}".rstrip("0"))
    with page.expect_download() as download:
        page.locator("#tau-download").click()
    download.value.save_as(tmp_path / "tau.csv")
    rows = [row for row in csv.DictReader((tmp_path / "tau.csv").open()) if "LSA" in row["model"]]
    assert [float(row["tau"]) for row in rows] == pytest.approx([value for layer in tau for value in layer])


def test_the_results_are_those_of_the_folders(visit):
    page = visit()
    open_view(page, "training")
    store = ModelStore(find_model_folders(ROOT / "assets/models"))
    for name in store.folders:
        record = store.record(name)
        title, top1 = VARIANTS[record.variant].title, record.metrics["test"]["top1"]
        row = page.locator("#results").get_by_role("row", name=f"{title} {record.preset} ").first
        for value in (f"{record.parameters:,}", f"{100 * top1:.2f}", str(record.epochs_trained)):
            expect(row).to_contain_text(value)
    open_view(page, "usage")
    for key, text in (
        ("python", 'load_model("assets/models/laptop-spt_lsa")'),
        ("train", "python train.py --preset laptop"),
        ("cite", "@article{lee2021vision"),
        ("client", f'Client("{page.url.partition("?")[0]}")'),
    ):
        expect(page.locator(f"#usage-{key}")).to_contain_text(text)


def test_the_page_speaks_korean(visit):
    page = answered_page(visit, locale="ko-KR")
    expect(page.get_by_role("heading", level=1)).to_have_text("적은 데이터로 배우는 비전 트랜스포머")
    expect(page.locator("#answer-left")).to_contain_text("테스트 정확도")
    open_view(page, "shift_test")
    alternative_text(page, "shift_test-left", "81곳 중")
    assert "__i18n__" not in page.locator("body").inner_text()


def test_what_is_refused_gets_a_message_and_the_page_goes_on(visit, url, tmp_path):
    page = visit()
    for name in ("text.jpg", "drawing.svg"):
        entry = next(entry for entry in BAD if entry.name == name)
        (tmp_path / "image.jpg").write_bytes(entry.content())
        upload(page, tmp_path / "image.jpg")
        expect(page.locator(".toast-body")).to_contain_text(re.compile(entry.message))
        page.locator(".toast-close").click()
        take_away(page)
        upload(page, ROOT / "assets/examples/cup.jpg")
        answered(page)
        take_away(page)
    page.locator("#image-url textarea, #image-url input").fill(f"{url}config")
    page.keyboard.press("Enter")
    expect(page.locator(".toast-body")).to_contain_text("leads to an address that is not public")
    with open(tmp_path / "huge.jpg", "wb") as file:
        file.truncate(25 * 2**20)
    upload(page, tmp_path / "huge.jpg")
    expect(page.get_by_text("exceed the maximum allowed size of 20").first).to_be_visible()


def test_a_link_leads_to_the_same_result(visit):
    page = answered_page(visit)
    open_view(page, "attention")
    shown(page, "attention-left")
    set_slider(page, "Layer", 6)
    alternative_text(page, "attention-left", "layer 6")
    open_view(page, "compare")
    page.get_by_label("Right model").click()
    page.get_by_role("option", name="ViT + LSA · laptop", exact=True).click()
    top1 = read_model_folder(files.BUNDLED_MODELS / "laptop-lsa").record.metrics["test"]["top1"]
    expect(page.locator("#answer-right")).to_contain_text(f"Test accuracy {100 * top1:.1f} %")
    other = answered(visit(address=link_to_the_result(page)))
    expect(other.locator("#answer-right")).to_contain_text(f"Test accuracy {100 * top1:.1f} %")
    assert other.locator("#answer-right ol").inner_text() == page.locator("#answer-right ol").inner_text()
    open_view(other, "attention")
    alternative_text(other, "attention-left", "layer 6")


def test_the_page_is_up_before_the_models_and_says_so(visit):
    loaded = threading.Event()

    class SlowStore(ModelStore):
        def is_ready(self, names):
            return loaded.is_set()

    demo = build_demo(SlowStore(find_model_folders(ROOT / "assets/models")))
    place = {"server_name": "127.0.0.1", "server_port": free_port()}
    _, address, _ = demo.queue().launch(prevent_thread_lock=True, quiet=True, **place, **LAUNCH_OPTIONS)
    try:
        page = visit(address=address)
        expect(page.get_by_text("The models are being loaded")).to_be_visible()
        loaded.set()
        expect(page.get_by_text("The models are being loaded")).to_be_hidden()
    finally:
        demo.close()


def test_a_model_from_the_hub_is_named_while_it_is_missing_and_tried_again(visit, tmp_path):
    """The page is up and answers while the Hub keeps it waiting."""
    tiny.write_folder(tmp_path / "model", "lsa")
    with hub_server() as hub:
        commit = hub.put_folder("ada/late", tmp_path / "model")
        hub.stall("ada/late", seconds=600)
        environment = {**hub.environment(tmp_path / "home"), "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
        with running_app("--models", f"ada/late@{commit}", log=tmp_path / "app.log", **environment) as address:
            page = visit(address=address)
            status, again = page.locator("#status"), page.get_by_role("button", name="Try again")
            expect(status).to_contain_text("is being downloaded from the Hub")
            upload(page)
            answered(page)

            hub.clear()
            hub.fail("ada/late", status=403)
            expect(status).to_contain_text(f"⚠️ ada/late@{commit}: the Hub ")  # it broke off, or was asked again
            hub.clear()
            again.click()
            expect(status).to_be_hidden()
            expect(again).to_be_hidden()
            page.get_by_label("Left model").click()
            page.get_by_role("option", name=f"ViT + LSA · laptop (ada/late@{commit})").click()
            expect(page.locator("#answer-left")).to_contain_text(f"From the Hub: ada/late@{commit[:7]}")
            answered(page)


def test_models_from_the_hub_can_be_linked_to_and_looked_into(visit, tmp_path):
    """They came after the page was built; one has a finer grid than all that was known then."""
    tiny.write_folder(tmp_path / "vit", "vit")
    tiny.write_folder(tmp_path / "fine", "spt_lsa", replace(tiny.MODEL, image_size=28, patch_size=2))
    with hub_server() as hub:
        commits = [hub.put_folder(f"ada/{name}", tmp_path / name) for name in ("vit", "fine")]
        environment = {**hub.environment(tmp_path / "home"), "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
        options = ["--models", "ada/vit", "--models", "ada/fine"]
        with running_app(*options, log=tmp_path / "app.log", **environment) as address:
            page = visit(address=address)
            expect(page.locator("#answer-right")).to_contain_text(f"From the Hub: ada/fine@{commits[1][:7]}")
            upload(page)
            open_view(answered(page), "attention")
            side = shown(page, "attention-right").bounding_box()["width"]
            page.locator("#attention-right img").click(position={"x": side - 4, "y": side - 4})
            alternative_text(page, "attention-right", "row 14, column 14")
            set_slider(page, "Row of the patch", 13)
            alternative_text(page, "attention-right", "row 13, column 14")

            other = answered(visit(address=link_to_the_result(page)))
            # The answer of the pair that the page opens with may come first.
            answer = page.locator("#answer-right ol").inner_text()
            expect(other.locator("#answer-right ol")).to_have_text(answer, use_inner_text=True)
            open_view(other, "attention")
            alternative_text(other, "attention-right", "row 13, column 14")
            open_view(other, "usage")
            expect(other.locator("#usage-python")).to_contain_text(
                f'load_model(snapshot_download("ada/fine", revision="{commits[1]}"))'
            )


def test_a_report_opens_from_the_disk_and_asks_for_nothing(browser, tmp_path, rng):
    test = Split(rng.integers(0, 256, (300, 32, 32, 3), np.uint8), np.arange(300, dtype=np.int32) % 100)
    records = [read_model_folder(folder).record for folder in find_model_folders(files.BUNDLED_MODELS)]
    models = [EvaluatedModel(record, rng.permutation(test.labels), rng.random(300)) for record in records]
    data = Dataset("CIFAR-100", test, test, records[0].class_names, (0.5,) * 3, (0.2,) * 3)
    file = tmp_path / "report.html"
    file.write_text(report(models, data), encoding="utf-8")
    for width, theme in ((1280, "light"), (390, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
        problems = []
        page.on("console", lambda line, told=problems: told.append(line.text))  # also what its own policy blocks
        page.on("request", lambda request, told=problems: _is_file(request.url) or told.append(request.url))
        page.goto(file.as_uri())
        assert run_axe(page, theme) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator(".matrix").count() == len(models)
        assert page.evaluate("[...document.images].map(image => image.naturalWidth)") == [32] * 24 * len(models)
        assert problems == []
        page.close()


def _is_file(address):
    return address.startswith(("file:", "data:"))
