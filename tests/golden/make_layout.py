"""Write where the main blocks of the page stand, beside this file; run it after a change of its style and look at it.

`python -m tests.golden.make_layout`
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from tests.golden.make_sample import SAMPLE

from edgebench.render.html import page
from edgebench.report.io import read_report

FILE = Path(__file__).with_name("layout.json")
WIDTHS = (390, 1280)
# The blocks that follow each other down the page: what each is, left edge, top, width and height in pixels.
BLOCKS = """() => [...document.querySelectorAll('header, nav, main > *, main figure, main .wide')].map(one => {
  const box = one.getBoundingClientRect();
  const name = one.id || (one.querySelector('h2, caption, figcaption') || one).textContent.trim().slice(0, 30);
  const sizes = [box.x, box.y + scrollY, box.width, box.height].map(Math.round);
  return [`${one.tagName.toLowerCase()} ${name.split('\\n')[0]}`, ...sizes];
}).filter(one => one[3] > 0 && one[4] > 0)"""

Block = tuple[str, int, int, int, int]


def blocks_of(browser: Browser, file: Path, width: int) -> list[Block]:
    """Return the blocks of a page in a window of that width, in the order of the document."""
    context = browser.new_context(viewport={"width": width, "height": 800}, reduced_motion="reduce")
    opened = context.new_page()
    opened.goto(file.as_uri())
    found: list[Block] = [tuple(one) for one in opened.evaluate(BLOCKS)]
    context.close()
    return found


def main() -> None:
    """Write the golden file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        file = Path(folder, "sample.html")
        file.write_text(page(read_report(SAMPLE)), encoding="utf-8")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = {str(width): blocks_of(browser, file, width) for width in WIDTHS}
        browser.close()
    lines = [f'"{width}": [\n' + ",\n".join(map(json.dumps, blocks)) + "\n]" for width, blocks in found.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
