"""Plugs as their makers and their owners describe them: kinds, channels, signs, readings that are none, passwords."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulators.meters.web import Answer, Locked, Request, web

from edgebench_probes.base import ProbeError
from edgebench_probes.catalogue.discover import examine
from edgebench_probes.host import Host
from edgebench_probes.meters.digest import challenge
from edgebench_probes.meters.plugs import PlugSource, decode_shelly1, decode_shelly2, decode_tasmota
from edgebench_probes.meters.protocol import ProtocolError
from edgebench_probes.sampling.source import SourceLost
from edgebench_probes.spec import parse_spec

METAL = Host(machine="x86_64", vendor="GenuineIntel", virtual=False, container=False, paranoid=2, perfmon=False)
SWITCH = {"id": 0, "output": True, "apower": 13.2, "voltage": 230.1}
EM = {"id": 0, "a_act_power": 13.2, "b_act_power": 100.0, "c_act_power": 0.0, "total_act_power": 113.2}
TWO = {"StatusSNS": {"ENERGY": {"Total": 3.262, "Power": [23.63, 67.17], "Voltage": 229.3}}}
ASKS = {"WARNING": "Need user=<username>&password=<password>"}


def pages(**known: Any) -> Any:
    """A plug that has these pages, by the beginning of their path (with `_` for `/`), and no others."""

    def answer(request: Request) -> Answer:
        for name, body in known.items():
            if request.path.startswith("/" + name.replace("_", "/")):
                return body if isinstance(body, Answer) else Answer(body)
        return Answer({"code": 404, "message": "No handler"}, 404)

    return answer


def power_w(spec: str, answer: Any) -> float:
    with web(answer) as host:
        source = PlugSource(parse_spec(spec.format(host)))
        source.open()
        try:
            return source.passed(source.poll())
        finally:
            source.close()


def refused(spec: str, answer: Any) -> ProbeError:
    with web(answer) as host, pytest.raises(ProbeError) as caught:
        PlugSource(parse_spec(spec.format(host))).open()
    return caught.value


@pytest.mark.parametrize(
    ("spec", "known", "expected"),
    [
        ("shelly:{}", {"rpc_Switch.GetStatus?id=0": SWITCH}, 13.2),
        ("shelly:{}", {"rpc_PM1.GetStatus": {"id": 0, "apower": 13.2}}, 13.2),
        ("shelly:{}", {"rpc_Switch": {"id": 0, "output": True}, "rpc_EM1": {"id": 0, "act_power": 501.8}}, 501.8),
        ("shelly:{}?channel=1", {"rpc_EM1.GetStatus?id=1": {"id": 1, "act_power": 501.8}}, 501.8),
        ("shelly:{}", {"rpc_EM.GetStatus": EM}, 113.2),
        ("shelly:{}?phase=a", {"rpc_EM.GetStatus": EM}, 13.2),
        ("shelly:{}", {"rpc_Cover.GetStatus": {"apower": 5.0}}, 5.0),
        ("shelly:{}", {"rpc_Switch": {**SWITCH, "apower": 0.0, "output": False}}, 0.0),
        ("shelly:{}", {"rpc_Switch": {**SWITCH, "apower": -13.2}}, 13.2),
        ("shelly:{}?gen=1", {"meter_0": {"power": 13.2, "is_valid": True}}, 13.2),
        ("shelly:{}?gen=1&channel=2", {"emeter_2": {"power": 13.2, "is_valid": True}}, 13.2),
        ("tasmota:{}?channel=0", {"cm": TWO}, 23.63),
        ("tasmota:{}?channel=1", {"cm": TWO}, 67.17),
        ("tasmota:{}", {"cm": {"StatusSNS": {"ENERGY": {"Power": [7]}}}}, 7.0),
    ],
)
def test_each_kind_of_plug_gives_its_power(spec: str, known: dict[str, Any], expected: float) -> None:
    assert power_w(spec, pages(**known)) == expected


@pytest.mark.parametrize(
    ("spec", "known", "says"),
    [
        ("shelly:{}?gen=1", {"meter_0": {"power": 0.0, "is_valid": False}}, "is_valid is false"),
        ("shelly:{}?gen=1", {"emeter_0": {"power": 0.0, "is_valid": False}}, "is_valid is false"),
        ("shelly:{}", {"rpc_Switch": {"id": 0, "output": False}}, "no number at apower"),
        ("shelly:{}", {"rpc_Switch": {**SWITCH, "apower": None}}, "no number at apower"),
        ("shelly:{}", {"rpc_EM.": {**EM, "errors": ["power_meter_failure"]}}, "meter has failed"),
        ("shelly:{}", {"rpc_EM.": {**EM, "b_errors": ["out_of_range:act_power"]}}, "out_of_range:act_power"),
        ("shelly:{}", {}, "answered 404"),
        ("shelly:{}", {"rpc": Answer("", 301, {"Location": "https://127.0.0.1/"})}, "answered 301"),
        ("tasmota:{}", {"cm": TWO}, "has 2 channels"),
        ("tasmota:{}?channel=2", {"cm": TWO}, "no channel 2"),
        ("tasmota:{}", {"cm": {"StatusSNS": {"Switch1": "OFF"}}}, "no number at StatusSNS.ENERGY.Power"),
        ("tasmota:{}", {"cm": '{"StatusSNS":{"ENERGY":{"Power":nan}}}'}, "no number"),
        ("tasmota:{}", {"cm": '{"StatusSNS":{"ENERGY":{"Power":1e999}}}'}, "no number"),
        ("tasmota:{}", {"cm": ASKS}, "asks for a password"),
        ("tasmota:{}", {"cm": Answer(ASKS, 401)}, "asks for a password"),
    ],
)
def test_a_plug_without_a_reading_says_why(spec: str, known: dict[str, Any], says: str) -> None:
    error = refused(spec, pages(**known))
    assert says in error.reason
    assert error.fix


def test_a_phase_without_errors_is_a_reading_though_another_has_some() -> None:
    assert power_w("shelly:{}?phase=a", pages(**{"rpc_EM.": {**EM, "b_errors": ["out_of_range:voltage"]}})) == 13.2


def test_a_plug_whose_flow_turns_round_is_lost() -> None:
    answers = iter([-13.2, -14.0, 13.2])
    with web(lambda _request: Answer({"apower": next(answers)})) as host:
        source = PlugSource(parse_spec(f"shelly:{host}"))
        source.open()
        assert dict(source.describe().notes)["direction"]
        source.period_s = 0.01
        assert source.read()[0].power_w == 14.0
        with pytest.raises(SourceLost, match="turned round"):
            source.read()
        source.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("cor:rect & horse\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_a_digest_is_answered_again_when_its_nonce_is_old(secret: Path, algorithm: str) -> None:
    plug = Locked("cor:rect & horse", SWITCH, algorithm)
    with web(plug) as host:
        source = PlugSource(parse_spec(f"shelly:{host}?password_file={secret}"))
        source.open()
        assert [source.poll() for _ in range(6)] == [13.2] * 6
        source.close()
    assert 2 <= plug.challenges <= 4  # not one for each request


def test_the_example_of_the_standard() -> None:
    """RFC 7616, 3.9.1."""
    offered = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={},'
        ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        answerer = challenge(offered.format(algorithm), "Mufasa", "Circle of Life")
        assert answerer is not None
        header = answerer.header("GET", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
        assert f'response="{response}"' in header
        assert "Circle of Life" not in repr(answerer)
    assert challenge('Basic realm="x"', "u", "p") is None
    assert challenge('Digest realm="x", nonce="y", algorithm=SHA-512-256', "u", "p") is None


@pytest.mark.parametrize(("spec", "known"), [("shelly:{}", {}), ("tasmota:{}", {"cm": ASKS}), ("shelly:{}?gen=1", {})])
def test_a_wrong_password_is_refused_and_never_told(
    tmp_path: Path, secret: Path, spec: str, known: dict[str, Any]
) -> None:
    locked = Locked("another", SWITCH)
    asked: list[Request] = []

    def answer(request: Request) -> Answer:
        asked.append(request)
        return pages(**known)(request) if known else locked(request)

    with web(answer) as host:
        joined = "&" if "?" in spec else "?"
        (found,) = examine([f"{spec.format(host)}{joined}password_file={secret}"], tmp_path, METAL)
    assert "refuses this user and password" in (found.reason or "")
    assert "horse" not in repr(found)
    if spec == "shelly:{}":  # a digest keeps it from the wire, too
        assert not any("horse" in request.path or "Basic" in request.authorization for request in asked)


def test_user_and_password_of_tasmota_work(secret: Path) -> None:
    def answer(request: Request) -> Answer:
        good = request.path.endswith("&user=me&password=cor%3Arect%20%26%20horse")
        return Answer({"StatusSNS": {"ENERGY": {"Power": 6}}} if good else ASKS)

    assert power_w(f"tasmota:{{}}?user=me&password_file={secret}", answer) == 6.0


def test_a_password_in_the_address_is_not_repeated() -> None:
    with pytest.raises(ProbeError, match="holds a user or a password") as caught:
        PlugSource(parse_spec("shelly:admin:hunter2@192.0.2.1"))
    assert "hunter2" not in str(caught.value)


KEYS = ["power", "apower", "is_valid", "errors", "a_errors", "StatusSNS", "ENERGY", "Power", "WARNING"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_power_or_a_protocol_error(answer: Any) -> None:
    try:
        body = json.dumps(answer).encode()
    except ValueError:  # an integer of more digits than Python writes
        return
    for decode in (decode_shelly1, decode_shelly2, decode_tasmota):
        try:
            reading = decode(body)
        except ProtocolError:
            continue
        assert abs(reading.signed_w) <= 25_000
