"""Meters the other way round, about zero, and as their models and firmwares want to be asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.simulators.meters.bench import HidPair, Meter, Wave
from tests.simulators.meters.devices import DEVICES, Fnirsi

from edgebench_probes.base import ProbeError
from edgebench_probes.meters import METERS
from edgebench_probes.meters.link import HidLink
from edgebench_probes.sampling.source import Sample, Source, SourceLost
from edgebench_probes.spec import parse_spec


def source_of(text: str) -> Source:
    spec = parse_spec(text)
    return METERS[spec.name](spec)


def some(source: Source, count: int = 4) -> list[Sample]:
    samples: list[Sample] = []
    end = time.monotonic() + 3
    while len(samples) < count and time.monotonic() < end:
        samples += source.read()
    assert len(samples) >= count
    return samples


@pytest.mark.parametrize("device", ["shizuku", "witrn", "fnirsi"])
@pytest.mark.parametrize("watts", [-6.2, -0.0001, 0.0, 6.2])
def test_a_meter_the_other_way_round_gives_the_same_power(device: str, watts: float) -> None:
    options = "?model=fnb58" if device == "fnirsi" else ""
    with DEVICES[device](Wave(watts, watts)) as sim:
        source = source_of(f"{device}:{sim.path}{options}")
        source.open()
        try:
            assert all(sample.power_w == pytest.approx(abs(watts), abs=1e-4) for sample in some(source))
            assert "way round" in dict(source.describe().notes)["direction"]
        finally:
            source.close()


def test_a_flow_that_turns_round_is_lost() -> None:
    with DEVICES["shizuku"](Wave(6.2, 6.2)) as sim:
        source = source_of(f"shizuku:{sim.path}")
        source.open()
        some(source)
        sim.command("power -6.2")
        with pytest.raises(SourceLost, match="turned round"):
            some(source, 1000)
        source.close()


def fnirsi(model: str, garbage: bool = False) -> tuple[Source, Meter]:  # noqa: FBT001, FBT002
    pair = HidPair()
    sim = Fnirsi(Wave(6.2, 6.2), pair)
    sim.garbage_first = garbage
    source = source_of(f"fnirsi:/dev/hidraw0?{model}")
    source._link = HidLink(Path("/dev/hidraw0"), opener=pair.opener)  # type: ignore[attr-defined]  # as a node gives
    return source, sim


def test_the_first_packet_is_garbage_and_left_out() -> None:
    source, sim = fnirsi("model=fnb48", garbage=True)
    with sim:
        source.open()
        assert all(sample.power_w == pytest.approx(6.2, rel=1e-3) for sample in some(source, 8))
        source.close()


@pytest.mark.parametrize(
    ("model", "most_s", "least_s"),
    [
        ("model=fnb58", 0.6, 0.3),
        ("model=fnb58-0.68", 0.05, 0.0),
        ("model=fnb58&keep_alive_ms=20", 0.1, 0.0),
    ],
)
def test_the_keep_alive_is_that_of_the_firmware(model: str, most_s: float, least_s: float) -> None:
    source, _ = fnirsi(model)
    beat_s = source._talk.beat_s  # type: ignore[attr-defined]
    assert least_s <= beat_s <= most_s
    with pytest.raises(ProbeError, match="keep_alive_ms"):
        source_of("fnirsi:/dev/hidraw0?model=fnb58&keep_alive_ms=0")


def test_what_smooths_says_for_how_long() -> None:
    for text, smoothing_s in (
        ("tc66:/dev/ttyACM0", 0.5),
        ("fnirsi:/dev/hidraw0?model=c1", 0.5),
        ("fnirsi:/dev/hidraw0?model=fnb48s", 0.12),
        ("shizuku:/dev/ttyACM0", 0.0),
    ):
        assert source_of(text).describe().smoothing_s == smoothing_s
