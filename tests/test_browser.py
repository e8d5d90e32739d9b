"""The page in Chromium, as a visitor has it. Needs a Chromium; with REQUIRE_BROWSER=1 its absence is a failure."""

import io
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from smallvit.tokenization import SHIFT_NAMES
from tests import tiny
from tests.server import ROOT, running_app

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_BROWSER" not in os.environ, reason="needs Chromium: apt-get install chromium"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    for variant in ("vit", "spt_lsa"):
        tiny.write_folder(folder / f"models/laptop-{variant}", variant)
    with running_app("--models", folder / "models", log=folder / "app.log") as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        # A container's root may not use Chromium's sandbox, and its /dev/shm is small.
        options = ["--no-sandbox", "--disable-dev-shm-usage", *OFFLINE]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop-light", "phone-dark"])
def page(browser, url, request):
    width, theme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(f"{url}?__theme={theme}")
    expect(page.locator("#picture input[type=file]")).to_be_attached()
    yield page
    assert page.errors == []
    context.close()


def upload(page, file):
    page.set_input_files("#picture input[type=file]", file)


def read_answers(page):
    """[(the model's caption, its five (class, percent))] as they stand on the page."""
    answers = page.locator(".answer")
    expect(answers).to_have_count(2)
    read = []
    for index in range(2):
        rows = answers.nth(index).locator(".confidence-set")
        expect(rows).to_have_count(5)
        text = [re.sub(r"\s+", " ", row.inner_text()).strip() for row in rows.all()]
        read.append([re.fullmatch(r"(.+?) (\d+)%", row).groups() for row in text])
    return read


def test_an_uploaded_photo_gets_two_labelled_answers_and_five_grids(page):
    for caption in ("ViT", "ViT + SPT + LSA"):
        expect(page.get_by_text(caption, exact=True).first).to_be_visible()
    upload(page, ROOT / "assets/examples/rocket.jpg")
    for answer in read_answers(page):
        assert len({name for name, _ in answer}) == 5
        assert {name for name, _ in answer} <= {name.replace("_", " ") for name in tiny.CLASS_NAMES}
        shares = [int(percent) for _, percent in answer]
        assert shares == sorted(shares, reverse=True)
    for name in SHIFT_NAMES:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    grids = page.locator(".pixels img")
    expect(grids).to_have_count(6)  # what the models see, and five grids
    for grid in grids.all():
        grid.scroll_into_view_if_needed()
        expect(grid).to_have_js_property("complete", True)
        assert grid.evaluate("image => image.naturalWidth") > 50
        assert grid.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
        assert grid.get_attribute("alt")
    assert page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"]


def test_an_example_is_a_click_away(page):
    page.get_by_text("motorcycle", exact=True).first.click()
    assert read_answers(page)


def test_the_temperatures_stand_in_a_chart_and_a_table(page):
    chart = page.locator(".shown:not(.pixels) img")
    chart.scroll_into_view_if_needed()
    assert "learned temperature of each of 3 layers against its start 2.24" in chart.get_attribute("alt")
    picture = np.asarray(Image.open(io.BytesIO(chart.screenshot())).convert("RGB"))
    assert picture.std() > 10
    table = page.locator(".tau")
    for tau in tiny.build("spt_lsa").taus()[:, 0]:
        expect(table).to_contain_text(f"{tau:.3f}")


def test_what_is_no_picture_gets_a_message_and_the_page_goes_on(page, tmp_path):
    (tmp_path / "notes.jpg").write_text("no picture")
    upload(page, tmp_path / "notes.jpg")
    expect(page.get_by_text("The file is no picture that can be read").first).to_be_visible()
    page.reload()
    upload(page, ROOT / "assets/examples/cup.jpg")
    assert read_answers(page)


def test_a_huge_file_gets_a_message(page, tmp_path):
    with open(tmp_path / "huge.jpg", "wb") as file:
        file.truncate(25 * 2**20)
    upload(page, tmp_path / "huge.jpg")
    expect(page.get_by_text("exceed the maximum allowed size of 20").first).to_be_visible()


def test_taking_the_picture_away_takes_the_answers_away(page):
    upload(page, ROOT / "assets/examples/lion.jpg")
    read_answers(page)
    page.locator("#picture").get_by_label("Remove Image").click()
    expect(page.locator(".answer .confidence-set")).to_have_count(0)
