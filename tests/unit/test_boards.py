"""`boards.toml`: what is wrong is told with file and line, and a board gets its own meters."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from edgebench.commands.main import main
from edgebench.launch.state import state
from edgebench.render.listing import listed
from edgebench.render.units import NONE

GOOD = """\
[board.n150-a]
address = "ssh://root@10.0.0.5"
platform = "n150"
meters = ["tcp://meterhost:8765"]

[board.pi-a]
address = "ssh://pi@10.0.0.6:2222"
platform = "pi"
image = "registry.example/edgebench-pi:1"

[group]
shelf = ["n150-a", "pi-a"]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    path = tmp_path / "boards.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ('platform = "pi"', 'platform = "pie"', 8, "board pi-a: there is no platform 'pie': choose one of jetson,"),
        ("ssh://pi@10.0.0.6:2222", "ssh://root@10.0.0.5", 7, "board pi-a: n150-a has this address too"),
        ('address = "ssh://root', 'address = "http://root', 2, "'board.n150-a.address' is wrong"),
        (
            "image = ",
            'meters = ["tcp://meterhost:8765"]\nimage = ',
            9,
            "the meter tcp://meterhost:8765 belongs to n150-a",
        ),
        ("tcp://meterhost:8765", "rapl?scope", 4, "board n150-a: rapl?scope: the option 'scope' of the probe"),
        ('"pi-a"]', '"pi-b"]', 12, "group shelf: there is no board 'pi-b': add [board.pi-b], or correct it"),
        ("shelf", "pi-a", 12, "group pi-a: a board bears that name"),
        ("image = ", "imgae = ", 9, "unknown key 'board.pi-a.imgae'"),
        ('platform = "n150"\n', "", 1, "'board.n150-a.platform' is missing"),
    ],
)
def test_an_error_is_one_sentence_with_file_and_line(
    bench: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, sentence: str
) -> None:
    bench.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    assert main(["boards", "--boards", str(bench)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"edgebench: {bench}:{line}: ")
    assert sentence in told


def test_names_that_are_none_and_boards_of_another_platform_are_refused(
    bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "n150", "smoke", "--boards", str(bench), "--print"]
    assert main([*words, "--board", "nowhere"]) == 2
    assert "there is no board or group 'nowhere': it has n150-a, pi-a, shelf" in capsys.readouterr().err
    assert main([*words, "--board", "pi-a"]) == 2
    assert "--board pi-a: it is a pi: run it with `edgebench run pi`" in capsys.readouterr().err
    assert main([*words, "--board", "shelf", "--host", "ssh://x"]) == 2
    assert "--host and --board name two engines" in capsys.readouterr().err


def test_a_list_that_is_too_wide_has_what_is_long_beneath_each_row() -> None:
    titles, rows = ("board", "up", "image"), [("n150-a", "yes", "edgebench-n150 0.2.0"), ("n150-b", "no", NONE)]

    def lines(width: int) -> list[str]:
        console = Console(width=width)
        with console.capture() as captured:
            console.print(listed(titles, rows, width, beneath={"image"}))
        return captured.get().splitlines()[2:]

    assert lines(80) == ["n150-a  yes  edgebench-n150 0.2.0", f"n150-b  no   {NONE}"]
    assert lines(24) == ["n150-a  yes", "  image: edgebench-n150", "  0.2.0", "n150-b  no"]


def test_a_board_that_is_down_is_a_row_and_a_sentence(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench.write_text(GOOD.replace("ssh://root@10.0.0.5", "unix:///nowhere/sock"), encoding="utf-8")
    assert main(["boards", "n150-a", "--boards", str(bench)]) == 1
    told = capsys.readouterr()
    title, _, row = told.out.splitlines()
    assert dict(zip(title.split(), row.split(), strict=True)) == {
        "board": "n150-a",
        "platform": "n150",
        "up": "no",
        "image": "edgebench-n150",
        "meters": "tcp://meterhost:8765",
    }, "what nobody knows has no column"
    assert told.err.startswith("n150-a: no container engine runs here")


def test_the_hottest_zone_is_told_and_an_absent_one_is_not_zero(tmp_path: Path) -> None:
    for number, value in enumerate(("41500", "67250", "0", "junk")):
        zone = tmp_path / "class" / "thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(value, encoding="ascii")
    (tmp_path / "loadavg").write_text("0.25 0.10 0.05 1/100 4242\n", encoding="ascii")
    told = state(str(tmp_path), str(tmp_path))
    assert (told["hottest_c"], told["load"]) == (67.25, 0.25)
    assert state(str(tmp_path / "none"), str(tmp_path / "none"))["hottest_c"] is None
