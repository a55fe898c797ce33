"""The site of a history: whole in a browser, from a folder and under a sub-path, made again only where it changed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.reports import suite
from tests.unit.test_page import browser

from edgebench.commands.main import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

HOSTILE = '<script>document.title="run"</script>"&../../x'


def release(index: int, board: str, **fields: Any) -> dict[str, Any]:
    """A report of a board; its third benchmark becomes slower with the ninth release, and failed in the second."""
    data = suite(
        100 * len(board) + index,
        slower={2: 1.2} if index >= 8 else None,
        created=f"2026-{1 + index // 28:02}-{1 + index % 28:02}T00:00:00Z",
        generator={"name": "edgebench", "version": f"0.{index}.0"},
        commit=f"{index:02x}c0ffee",
        **fields,
    )
    if index == 1:
        data["benchmarks"][2] |= {"status": "failed", "reason": "it was not ready", "metrics": {}}
    data["machine"] = {"cpu": "Test CPU", "cores": 4, "board": board}
    return data


def added(folder: Path, history: Path, reports: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{data['id']}.json" for data in reports]
    for path, data in zip(paths, reports, strict=True):
        path.write_text(json.dumps(data), encoding="utf-8")
    assert main(["history", "add", *map(str, paths), "--to", str(history)]) == 0


def site(history: Path, folder: Path) -> None:
    address = "https://example.org/commit/{commit}"
    assert main(["site", str(history), "-o", str(folder), "--commit-url", address]) == 0


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a history of three boards, one of them with names of a stranger's, and its site."""
    folder = tmp_path_factory.mktemp("shelf")
    reports = [release(index, board) for board in ("Pi 5", "N150") for index in range(14)]
    strange = release(3, HOSTILE, suite={"name": HOSTILE, "digest": "d", "seed": 1})
    strange["benchmarks"][0]["name"] = HOSTILE
    strange["benchmarks"][1] |= {"status": "failed", "reason": HOSTILE, "metrics": {}}
    added(folder / "reports", folder / "h.db", [*reports, strange])
    site(folder / "h.db", folder / "site")
    return folder


def files(folder: Path) -> dict[str, int]:
    """Every page with the time at which it was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.html")}


def test_every_link_leads_to_a_page_inside(shelf: Path) -> None:
    pages = list((shelf / "site").rglob("*.html"))
    assert len(pages) == 29 + 3 + 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script>document" not in text
        for link in re.findall(r'href="([^"]+)"', text):
            if link.startswith("https://example.org/commit/"):
                assert re.fullmatch(r"[0-9a-f]+", link.rpartition("/")[2])
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), link
            assert target.is_relative_to((shelf / "site").resolve())
            assert not anchor or f'id="{anchor}"' in target.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def served(shelf: Path) -> Iterator[str]:
    """The site under a sub-path, as GitHub Pages has it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shelf)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/site/"
    server.shutdown()


@pytest.mark.parametrize("where", ["folder", "server"])
def test_people_find_their_way_with_no_network(shelf: Path, served: str, browser: Browser, where: str) -> None:
    base = served if where == "server" else f"{(shelf / 'site').as_uri()}/"
    page = browser.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(base) else heard.append(request.url))
    page.goto(f"{base}index.html")
    # One line of a report and its board, whatever it changed: here latency and energy.
    assert page.locator("#newest-changes tbody tr", has_text="Pi 5").first.locator("td").nth(2).inner_text() == "2"
    page.get_by_role("link", name="Pi 5", exact=True).click()
    assert page.title().startswith("Pi 5 · test")
    # Where the third benchmark became slower, and the report that a click on it leads to.
    assert page.locator("svg .moment.worse").count() == 2
    point = page.locator("svg .changed a").first.get_attribute("href")
    changes = page.locator("#changes tbody tr")
    assert "cell2" in changes.first.inner_text()
    assert changes.first.locator("a").nth(1).get_attribute("href") == "https://example.org/commit/08c0ffee"
    assert changes.first.locator("a").first.get_attribute("href") == point
    changes.first.locator("a").first.click()
    assert "2026-01-09" in page.title()
    page.get_by_role("link", name="All boards").click()
    page.get_by_role("link", name="Search").click()
    page.get_by_role("searchbox").fill("cell2 n150")
    rows = [row.inner_text() for row in page.locator("tbody tr").all() if row.is_visible()]
    assert len(rows) == 1
    assert "cell2" in rows[0]
    page.locator("tbody tr:visible a").first.click()
    assert page.title().startswith("N150 · test")
    assert heard == []
    page.close()


def test_hostile_names_are_shown_and_not_obeyed(shelf: Path, browser: Browser) -> None:
    page = browser.new_page()
    for path in sorted((shelf / "site").rglob("*.html")):
        if "script-document" in path.name or path.parent == shelf / "site":
            page.goto(path.as_uri())
            assert page.title() != "run"
            assert "javascript:" not in "".join(re.findall(r'href="[^"]*"', page.content()))
    page.close()
    assert {path.name for path in shelf.iterdir()} == {"h.db", "reports", "site"}


def test_only_what_changed_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history, folder = tmp_path / "h.db", tmp_path / "site"
    added(tmp_path, history, [release(index, board) for board in ("Pi 5", "N150") for index in range(8)])
    site(history, folder)
    first = files(folder)
    site(history, folder)
    assert files(folder) == first
    new = release(9, "Pi 5")
    added(tmp_path, history, [new])
    capsys.readouterr()
    site(history, folder)
    assert "4 pages written, 17 as they were" in capsys.readouterr().err
    second = files(folder)
    changed = {path for path in second if second[path] != first.get(path)}
    board = next(path for path in second if path.startswith("boards/pi-5"))
    assert changed == {"index.html", "search.html", board, f"reports/{new['id']}.html"}
    assert main(["history", "prune", "--report", new["id"], "--from", str(history)]) == 0
    site(history, folder)
    assert set(files(folder)) == set(first)


def test_nothing_that_is_not_the_sites_is_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history, folder = tmp_path / "h.db", tmp_path / "site"
    added(tmp_path / "r", history, [release(1, "Pi 5")])
    folder.mkdir()
    (folder / "mine.html").write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert main(["site", str(history), "-o", str(folder)]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert main(["site", str(history), "-o", str(folder), "--commit-url", "http://x"]) == 2
    (folder / "mine.html").unlink()
    site(history, folder)
    state = folder / ".edgebench-site.json"
    data = json.loads(state.read_text(encoding="utf-8"))
    outside = tmp_path / "outside.html"
    outside.write_text("mine", encoding="utf-8")
    data["pages"]["../outside.html"] = "x"
    state.write_text(json.dumps(data), encoding="utf-8")
    site(history, folder)
    assert outside.is_file()
    state.write_text("no", encoding="utf-8")
    site(history, folder)
