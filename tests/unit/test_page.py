"""The page in a real browser: headless Chromium of the system, with no network to reach."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from tests.golden import make_layout
from tests.golden.make_sample import SAMPLE
from tests.golden.many import many
from tests.unit.reports import suite

from edgebench.commands.main import main
from edgebench.render.html import page
from edgebench.report.io import read_report

PHONE, DESK, PAPER = 390, 1280, 703  # A4 less its margins of 12 mm, in pixels of 1/96 inch
# No text smaller than this (pixels).
LEAST = 11
TEXT = """() => [...document.querySelectorAll('body *')].filter(one => !one.closest('script')).flatMap(one =>
  [...one.childNodes].filter(node => node.nodeType === 3 && node.data.trim()).map(node => ({
    size: parseFloat(getComputedStyle(one).fontSize) *
      (one.getScreenCTM && one.ownerSVGElement ? one.getScreenCTM().d : 1),
    text: node.data.trim().slice(0, 40), tag: one.tagName})))"""
# Elements that reach over the right edge, less those in a container that scrolls.
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(one => getComputedStyle(one.closest('.wide') || one).overflowX === 'visible')
  .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(one => one.tagName + ' ' + one.textContent.trim().slice(0, 40))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        assert "CI" not in os.environ, "CI has a browser: .ci/packages installs it"
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    report = read_report(SAMPLE)
    written = {name: folder / f"{name}.html" for name in ("sample", "many", "several", "verdict", "trend")}
    written["sample"].write_text(page(report), encoding="utf-8")
    written["many"].write_text(page(many(report, 100)), encoding="utf-8")
    past = [folder / f"{day}.json" for day in range(1, 10)]
    for day, path in enumerate(past, start=1):
        made = suite(day, cells=3, slower={1: 1.3 if day > 5 else 1.0}, created=f"2026-02-0{day}T00:00:00Z")
        path.write_text(json.dumps(made), encoding="utf-8")
    first, last = str(past[0]), str(past[-1])
    # As users make them; a command that shows a table as well still does.
    assert main(["show", first, last, "--html", str(written["several"])]) == 0
    assert main(["compare", first, last, "--html", str(written["verdict"])]) == 1
    assert main(["trend", str(folder), "--html", str(written["trend"])]) == 0
    return written


class Opened:
    """A page in the browser, and what it did that it should not: messages, errors, requests."""

    def __init__(self, browser: Browser, file: Path, *, width: int = DESK, dark: bool = False) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        self.page: Page = context.new_page()
        self.amiss: list[str] = []
        self.page.on("console", lambda message: self.amiss.append(message.text))
        self.page.on("pageerror", lambda error: self.amiss.append(str(error)))
        self.page.on("request", lambda request: self.amiss.append(request.url))
        self.page.goto(file.as_uri())
        # The file itself is the only thing that was asked for.
        assert self.amiss == [file.as_uri()]
        self.amiss.clear()


def names(page: Page, table: int = 0) -> list[str]:
    rows = page.locator("table.data").nth(table).locator("tbody tr:visible th")
    return [text.strip() for text in rows.all_inner_texts()]


@pytest.mark.parametrize(
    ("name", "dark"), [("sample", False), ("sample", True), ("verdict", False), ("verdict", True), ("trend", False)]
)
def test_nobody_is_shut_out(browser: Browser, files: dict[str, Path], name: str, dark: bool) -> None:  # noqa: FBT001
    opened = Opened(browser, files[name], dark=dark)
    # What differs in the dark is colour only; the rest of the rules would say the same again.
    rules = ["color-contrast"] if dark else ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    found = Axe().run(opened.page, options={"runOnly": rules})
    told = [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found.response["violations"]]
    assert [one for one in told if one[1] in {"serious", "critical", "moderate"}] == []
    assert len(found.response["passes"]) >= (1 if dark else 20)
    assert opened.amiss == []


def test_a_click_sorts_and_the_keyboard_does_too(browser: Browser, files: dict[str, Path]) -> None:
    opened = Opened(browser, files["sample"])
    table = opened.page.locator("table.data").first
    before = names(opened.page)
    latency = table.locator("thead th", has_text="latency")
    latency.locator("button").click()
    assert latency.get_attribute("aria-sort") == "ascending"
    assert names(opened.page)[0] == "ptq-static on OpenVINO"
    assert sorted(names(opened.page)) == sorted(before)
    latency.locator("button").focus()
    opened.page.keyboard.press("Enter")
    assert latency.get_attribute("aria-sort") == "descending"
    assert names(opened.page)[-1] == "ptq-static on OpenVINO"
    opened.page.keyboard.press("Enter")
    assert names(opened.page) == before
    # Who tabs sees where: a ring around what has the focus.
    opened.page.keyboard.press("Tab")
    ring = "() => getComputedStyle(document.activeElement).outlineWidth + document.activeElement.tagName"
    assert opened.page.evaluate(ring) == "2pxBUTTON"
    assert opened.amiss == []


def test_words_and_clicks_filter_rows(browser: Browser, files: dict[str, Path]) -> None:
    opened = Opened(browser, files["many"])
    section = opened.page.locator("section#inference")
    rows = section.locator("tbody tr:visible")
    every = rows.count()
    assert every == 100
    chip = section.get_by_role("button", name="int8", exact=True)
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    narrow = rows.count()
    assert 0 < narrow < every
    assert section.locator("output").inner_text() == f"{narrow} of {every} rows"
    section.get_by_role("searchbox").fill("ptq-static")
    assert 0 < rows.count() < narrow
    assert all("ptq-static" in text for text in rows.all_inner_texts())
    section.get_by_role("searchbox").fill("no such row")
    assert rows.count() == 0
    section.get_by_role("searchbox").fill("")
    chip.click()
    assert rows.count() == every
    assert section.locator("output").inner_text() == ""
    assert opened.amiss == []


@pytest.mark.parametrize("name", ["sample", "many", "several", "verdict", "trend"])
def test_a_phone_shows_it_all_in_letters_that_can_be_read(browser: Browser, files: dict[str, Path], name: str) -> None:
    opened = Opened(browser, files[name], width=PHONE)
    small = [one for one in opened.page.evaluate(TEXT) if one["size"] < LEAST - 0.01]
    assert small == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") == PHONE
    # A wide table scrolls, and its first column stays.
    region = opened.page.locator(".wide", has=opened.page.locator("table.data")).first
    region.evaluate("one => one.scrollLeft = 200")
    first = region.locator("tbody th").first.bounding_box()
    outer = region.bounding_box()
    assert first is not None
    assert outer is not None
    assert first["x"] == pytest.approx(outer["x"], abs=1)
    assert first["width"] < PHONE / 2


def test_the_contents_lead_to_every_chapter(browser: Browser, files: dict[str, Path]) -> None:
    opened = Opened(browser, files["sample"])
    links = opened.page.locator("nav a")
    targets = [str(link.get_attribute("href")) for link in links.all()]
    assert len(targets) == len(set(targets)) > 10
    for target in targets:
        assert opened.page.locator(f"section{target}").count() == 1, target
    opened.page.locator("nav").get_by_role("link", name="This report", exact=True).click()
    assert opened.page.url.endswith("#this-report")
    assert opened.page.locator("section#this-report h2").is_visible()


@pytest.mark.parametrize("name", ["sample", "many", "several", "verdict", "trend"])
def test_paper_holds_it_whole(browser: Browser, files: dict[str, Path], name: str) -> None:
    opened = Opened(browser, files[name], width=PAPER, dark=True)
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate(TOO_WIDE) == []
    assert not opened.page.locator("nav").is_visible()
    # Dark is for screens: paper stays white.
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    pdf = opened.page.pdf(prefer_css_page_size=True)
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox \[([^]]+)\]", pdf)}
    assert [round(side) for box in boxes for side in box] == [0, 0, 595, 842]


def test_without_its_script_nothing_is_missing(browser: Browser, files: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(files["sample"].as_uri())
    text = opened.locator("body").inner_text()
    assert "ptq-static on OpenVINO is fastest" in text
    assert opened.locator("th button").count() == 0


def test_the_policy_lets_nothing_else_run(browser: Browser, files: dict[str, Path], tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.html"
    added = "<script>document.title = 'owned'</script><img src='x' onerror=\"document.title = 'owned'\">"
    hostile.write_text(
        files["sample"].read_text(encoding="utf-8").replace("<main>", f"<main>{added}"), encoding="utf-8"
    )
    context = browser.new_context()
    opened = context.new_page()
    refused: list[str] = []
    opened.on("console", lambda message: refused.append(message.text))
    opened.goto(hostile.as_uri())
    assert "owned" not in opened.title()
    assert any("Content Security Policy" in text for text in refused)


def test_a_hundred_benchmarks_are_one_small_file(files: dict[str, Path]) -> None:
    assert files["many"].stat().st_size < 1_500_000


def test_a_verdict_s_page_says_it_first_and_shows_where(browser: Browser, files: dict[str, Path]) -> None:
    opened = Opened(browser, files["verdict"])
    assert opened.page.locator("h1").inner_text().startswith("REGRESSED: ")
    assert opened.page.locator(".answer p").first.inner_text().startswith("REGRESSED: 2 regressed")
    opened.page.get_by_role("button", name="PASS", exact=True).click()
    shown = names(opened.page)
    assert "cell1" in shown
    lanes = opened.page.locator(".changes .REGRESSED")
    assert lanes.count() == 2
    zero, mark = (lanes.first.locator(part).bounding_box() for part in (".zero", "circle"))
    assert zero is not None
    assert mark is not None
    # Slower is to the right of no change.
    assert mark["x"] > zero["x"] + 20
    assert opened.amiss == []


def test_a_trend_s_page_marks_the_report_that_changed_it(browser: Browser, files: dict[str, Path]) -> None:
    opened = Opened(browser, files["trend"])
    assert "of 15 series changed" in opened.page.locator(".answer").inner_text()
    drawing = opened.page.locator("figure.plot", has_text="cell1: latency")
    changed = drawing.locator(".changed title")
    assert changed.count() == 1
    assert "2026-02-06" in (changed.first.text_content() or "")
    assert drawing.locator("polyline.moment").count() == 1


def test_reports_side_by_side_have_a_page(browser: Browser, files: dict[str, Path]) -> None:
    opened = Opened(browser, files["several"])
    heads = opened.page.locator("section#latency thead th").all_inner_texts()
    assert [head.split()[0] for head in heads[1:]] == ["2026-02-01", "2026-02-09"]
    assert opened.page.locator("section#quality-against-cost figure").count() == 3


@pytest.mark.parametrize("width", make_layout.WIDTHS)
def test_blocks_stand_where_they_stood(browser: Browser, files: dict[str, Path], width: int) -> None:
    """Not by pixels, as fonts differ: the same blocks, as wide and nearly as high, one below the other, none cut."""
    golden = {name: tuple(box) for name, *box in json.loads(make_layout.FILE.read_text(encoding="utf-8"))[str(width)]}
    blocks = make_layout.blocks_of(browser, files["sample"], width)
    assert [name for name, *_ in blocks] == list(golden), "run `python -m tests.golden.make_layout` and look at it"
    for name, left, _, wide, high in blocks:
        then = golden[name]
        assert (left, wide) == pytest.approx((then[0], then[2]), abs=8), name
        assert high == pytest.approx(then[3], rel=0.3, abs=12), name
        assert left >= 0, f"{name} is cut at the left"
        assert left + wide <= width + 1, f"{name} is cut at the right"
    for (name, *one), (other, *two) in combinations(blocks, 2):
        across = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
        down = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
        inside = any(
            a[0] <= b[0] + 1 and a[1] <= b[1] + 1 and a[0] + a[2] >= b[0] + b[2] - 1 and a[1] + a[3] >= b[1] + b[3] - 1
            for a, b in ((one, two), (two, one))
        )
        assert inside or across <= 1 or down <= 1, f"{name} and {other} overlap"
