"""Profiles, the least rights that follow from what a board has, and the line that starts the same container."""

from __future__ import annotations

import io
import shlex
import socket
import stat
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.commands.main import build_parser, main
from edgebench.commands.run import order_asked
from edgebench.errors import ContainerError, UsageError
from edgebench.launch import build, engine, fleet
from edgebench.launch.board import packed
from edgebench.launch.container import Limits, create_arguments, run_line, shell_line
from edgebench.launch.follow import Lines
from edgebench.launch.images import Image
from edgebench.launch.order import Order, carrying, suite_settings
from edgebench.launch.outcome import Outcome
from edgebench.launch.peek import peek
from edgebench.launch.profile import Profile, find_profile, platforms, read_profile
from edgebench.launch.rights import (
    MACHINE_ID,
    Bind,
    Facts,
    Node,
    Rights,
    asked_for,
    base_rights,
    facts_from,
    granted_by,
    paths_to_look_at,
    reading,
    ways,
)

ROOT = Path(__file__).parents[2]
PROFILES = [read_profile(path) for path in platforms().values()]
HEAD = 'platform = "x"\ntitle = "X"\nimage = "edgebench-x"\narchitecture = "amd64"\n'

KINDS = {"/dev/vcio": "char", "/run/jtop.sock": "socket", MACHINE_ID: "file"}


@st.composite
def boards(draw: st.DrawFn, of: Profile) -> Facts:
    """Any board: each thing that the profile may need is there or not, of the right kind or of another."""
    nodes: dict[str, tuple[Node, ...]] = {}
    for path in paths_to_look_at(of, ()):
        if draw(st.booleans()):
            kind = draw(st.sampled_from([KINDS.get(path, "dir"), "dir", "file", "socket", "char"]))
            gid, mode = draw(st.integers(0, 1000)), draw(st.sampled_from([0o400, 0o444, 0o600, 0o660, 0o666]))
            nodes[path] = (Node(path, kind, 0, gid, mode),)
    board = draw(
        st.sampled_from(["", "Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 5 Model B", "NVIDIA Jetson Orin"])
    )
    return Facts(nodes, board, frozenset(draw(st.sets(st.sampled_from(["runc", "nvidia"])))))


@given(data=st.data(), of=st.sampled_from(PROFILES), sysfs=st.sampled_from(["/sys", "/srv/tree"]))
def test_a_container_is_given_what_the_board_has_and_nothing_else(data: st.DataObject, of: Profile, sysfs: str) -> None:
    facts = data.draw(boards(of))
    base = base_rights(of, facts, sysfs)
    found = ways(of, facts, sysfs)
    order = [way.probe for way in of.energy]
    assert [way.probe for way in found] == [name for name in order if name in {way.probe for way in found}]
    for way in found:
        rights = base | way.rights
        assert set(rights.capabilities) <= {"PERFMON"}
        assert rights.network == "none"
        assert all(facts.has(path) and facts.nodes[path][0].kind == "char" for path in rights.devices)
        assert all(not bind.writable for bind in rights.binds)
        assert {bind.source for bind in rights.binds} <= {
            sysfs,
            *(path.replace("/sys", sysfs, 1) if path.startswith("/sys/") else path for path in facts.nodes),
        }
        assert all(bind.target in {bind.source, f"/host{bind.source}"} or sysfs in bind.source for bind in rights.binds)
        assert ("EDGEBENCH_MACHINE_ID" in rights.environment) == any(bind.source == MACHINE_ID for bind in rights.binds)
        assert ("EDGEBENCH_SYSFS" in rights.environment) == any("/host/sys" in bind.target for bind in rights.binds)
        assert rights.runtime is None or rights.runtime in facts.runtimes
        assert 0 not in rights.groups
        words = run_line(suite_settings(order_of(of), rights, of.image, "sha256:0", (), local=True))
        assert "--privileged" not in words
        assert not [
            word
            for word in words
            if "unconfined" in word or (word == "ALL" and words[words.index(word) - 1] != "--cap-drop")
        ]


def order_of(of: Profile, **changes: Any) -> Order:
    return Order(of, of.image, "smoke", ("smoke", "-o", "-"), **changes)


def test_perfmon_is_tried_before_a_bind_and_both_only_where_the_kernel_has_them() -> None:
    n150 = find_profile("n150")
    everything = Facts({path: (Node(path, "dir"),) for path in paths_to_look_at(n150, ())})
    perf, rapl = ways(n150, everything)
    assert (perf.probe, perf.rights) == ("perf", Rights(capabilities=("PERFMON",)))
    assert rapl.rights.capabilities == ()
    assert [bind.target for bind in rapl.rights.binds] == [
        "/host/sys/class/powercap",
        "/host/sys/devices/virtual/powercap",
    ]
    assert ways(n150, Facts()) == []


def test_a_pi_4_gets_its_mailbox_for_throttling_but_no_way_to_energy() -> None:
    pi = find_profile("pi")
    nodes = {"/dev/vcio": (Node("/dev/vcio", "char", 0, 44, 0o660),)}
    four, five = (Facts(nodes, f"Raspberry Pi {number} Model B") for number in (4, 5))
    assert base_rights(pi, four).devices == ("/dev/vcio",)
    assert base_rights(pi, four).groups == (44,)
    assert base_rights(pi, four).environment == {"EDGEBENCH_BOARD": "Raspberry Pi 4 Model B"}
    assert ways(pi, four) == []
    assert [way.probe for way in ways(pi, five)] == ["pmic"]


def test_the_jtop_socket_comes_with_its_group_and_a_folder_in_its_place_with_nothing() -> None:
    jetson = find_profile("jetson")
    there = Facts(
        {"/run/jtop.sock": (Node("/run/jtop.sock", "socket", 0, 998, 0o660),)}, runtimes=frozenset({"nvidia"})
    )
    (way,) = ways(jetson, there)
    assert way.rights.groups == (998,)
    assert way.rights.binds == (Bind("/run/jtop.sock", "/run/jtop.sock"),)
    assert base_rights(jetson, there).runtime == "nvidia"
    down = Facts({"/run/jtop.sock": (Node("/run/jtop.sock", "dir"),)})
    assert ways(jetson, down) == []
    assert base_rights(jetson, down).runtime is None


@pytest.mark.parametrize(
    ("spec", "node", "expected"),
    [
        ("tc66:/dev/tty0", Node("/dev/tty0", "char", 0, 20, 0o660, 4), {"devices": ("/dev/tty0",), "groups": (20,)}),
        (
            "tc66:/dev/tty0",
            Node("/dev/tty0", "char", 1000, 1000, 0o600, 4),
            {"devices": ("/dev/tty0",), "capabilities": ("DAC_OVERRIDE",)},
        ),
        (
            "tc66:/dev/pts/3",
            Node("/dev/pts/3", "char", 0, 5, 0o620, 136),
            {"binds": (Bind("/dev/pts/3", "/dev/ttyMETER0", writable=True),)},
        ),
        ("fnirsi:/dev/hidraw1", Node("/dev/hidraw1", "char", 0, 0, 0o600, 240), {"devices": ("/dev/hidraw1",)}),
        ("tcp://meterhost:8765", None, {"network": "bridge", "environment": {"EDGEBENCH_PROBE_TOKEN": None}}),
        ("tcp://127.0.0.1:8765", None, {"network": "host", "environment": {"EDGEBENCH_PROBE_TOKEN": None}}),
        ("shelly:192.0.2.1", None, {"network": "bridge"}),
        (
            "tasmota:192.0.2.1?user=me&password_file=/srv/secret",
            None,
            {"network": "bridge", "binds": (Bind("/srv/secret", "/probe/0-secret"),)},
        ),
        ("um25c:/dev/tty0", Node("/dev/tty0", "char", 0, 0, 0o600, 4), {"devices": ("/dev/tty0",)}),
        ("scpi:TCPIP::localhost::INSTR", None, {"network": "host"}),
        ("scpi:TCPIP0::192.0.2.7::inst0::INSTR", None, {"network": "bridge"}),
        ("replay:/srv/trace.csv", None, {"binds": (Bind("/srv/trace.csv", "/probe/0-trace.csv"),)}),
    ],
)  # fmt: skip
def test_a_named_meter_gets_its_node_or_its_network(spec: str, node: Node | None, expected: Mapping[str, Any]) -> None:
    facts = Facts({} if node is None else {node.path: (node,)})
    rights, inside = asked_for(find_profile("n150"), facts, [spec])
    assert rights == Rights(**expected)
    targets = [bind for bind in rights.binds if bind.source in spec]
    assert inside == [spec.replace(bind.source, bind.target) for bind in targets] or inside == [spec]


def test_a_meter_that_is_not_there_is_told_before_anything_starts() -> None:
    with pytest.raises(ContainerError, match="the board has no /dev/ttyACM7: plug the meter in"):
        asked_for(find_profile("pi"), Facts(), ["tc66:/dev/ttyACM7"])


def test_the_boards_machine_id_comes_along_and_its_name_in_the_bench_file_before_it() -> None:
    n150 = find_profile("n150")
    rights = base_rights(n150, Facts({MACHINE_ID: (Node(MACHINE_ID, "file"),)}))
    assert rights.binds == (Bind(MACHINE_ID, "/host/etc/machine-id"),)
    assert rights.environment == {"EDGEBENCH_MACHINE_ID": "/host/etc/machine-id"}
    assert base_rights(n150, Facts({MACHINE_ID: (Node(MACHINE_ID, "dir"),)})) == Rights(), "what an engine made there"
    named = suite_settings(order_of(n150, unit="n150-a"), Rights(), n150.image, "", (), local=False)
    assert ("EDGEBENCH_UNIT", "n150-a") in named.environment


@pytest.mark.parametrize("more", [("--board", "shelf"), ("--host", "ssh://a", "--host", "ssh://b"), ("--swarm",)])
def test_one_name_for_several_boards_is_refused(capsys: pytest.CaptureFixture[str], more: tuple[str, ...]) -> None:
    assert main(["run", "n150", "smoke", "--unit", "n150-a", *more]) == 2
    assert "--unit names one board" in capsys.readouterr().err


def test_several_readers_of_sysfs_share_one_view_of_it() -> None:
    n150 = find_profile("n150")
    facts = Facts({path: (Node(path, "dir"),) for path in paths_to_look_at(n150, ())})
    for meter in ("hwmon:powerz", "km003c"):
        rights, _ = asked_for(n150, facts, ["rapl", meter])
        assert rights.binds == (Bind("/sys", "/host/sys"),)
        assert rights.environment["EDGEBENCH_SYSFS"] == "/host/sys"


@given(
    uid=st.integers(0, 2), gid=st.integers(0, 2), mode=st.integers(0, 0o777), groups=st.lists(st.integers(1, 2)),
    write=st.booleans(),
)  # fmt: skip
def test_root_without_capabilities_is_judged_as_the_kernel_does(
    uid: int, gid: int, mode: int, groups: list[int], *, write: bool
) -> None:
    wanted = 6 if write else 4
    owner, group, others = (mode >> 6) & 7, (mode >> 3) & 7, mode & 7
    bits = owner if uid == 0 else group if gid in {0, *groups} else others
    node = Node("/file", "file", uid, gid, mode)
    rights = reading(Rights(groups=tuple(groups)), [node], write=write)
    assert ("DAC_OVERRIDE" in rights.capabilities) == (bits & wanted != wanted)


@settings(deadline=None)  # the first call imports docker's SDK
@given(
    capabilities=st.sets(st.sampled_from(["PERFMON", "DAC_OVERRIDE"])),
    source=st.text(st.characters(codec="ascii", exclude_characters=",\0\n\r", exclude_categories=["Cc"]), min_size=1),
    cpus=st.none() | st.floats(0.01, 64),
    memory=st.none() | st.sampled_from(["512m", "4g"]),
)
def test_the_printed_line_and_the_engine_are_told_the_same(
    capabilities: set[str], source: str, cpus: float | None, memory: str | None
) -> None:
    rights = Rights(tuple(sorted(capabilities)), (Bind(f"/srv/{source}", "/input/data"),), ("/dev/vcio",), (44,))
    order = order_of(find_profile("n150"), limits=Limits(cpus, "0-1", memory), user="1000:1000")
    made = suite_settings(order, rights, "edgebench-n150", "sha256:0", ("rapl?scope=package",), local=True)
    words = shlex.split(shell_line(run_line(made)))
    assert words == run_line(made)
    told = create_arguments(made, {})
    assert "privileged" not in told
    assert [words[i + 1] for i, word in enumerate(words) if word == "--cap-add"] == told.get("cap_add")
    assert [words[i + 1] for i, word in enumerate(words) if word == "--device"] == told["devices"]
    assert [words[i + 1] for i, word in enumerate(words) if word == "--group-add"] == told["group_add"]
    env = dict(words[i + 1].split("=", 1) for i, word in enumerate(words) if word == "--env")
    assert env == told["environment"]
    mounts = [
        dict(part.partition("=")[::2] for part in words[i + 1].split(","))
        for i, word in enumerate(words)
        if word == "--mount"
    ]
    assert [(m["type"], m["source"], m["target"], "readonly" in m) for m in mounts] == [
        (m["Type"], m["Source"], m["Target"], m["ReadOnly"]) for m in told["mounts"]
    ]
    assert words[words.index("edgebench-n150") + 1 :] == told["command"]
    assert (told["read_only"], told["init"], told["cap_drop"], told["network_mode"]) == (True, True, ["ALL"], "none")
    if memory is not None:
        assert told["memswap_limit"] == memory == words[words.index("--memory-swap") + 1]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD + "colour = 1\n", 5, "unknown key 'colour'"),
        (HEAD + '[[energy]]\nprobe = "rapl"\nmount = []\n', 7, "unknown key 'energy.0.mount'"),
        (HEAD + "[[energy]]\nneeds = []\n", 5, "'energy.0.probe' is missing"),
        (HEAD + '[[energy]]\nprobe = "rapl"\n[[energy]]\nprobe = "x"\ncapabilities = ["SYS_ADMIN"]\n', 9, "SYS_ADMIN"),
        (HEAD + '[[grant]]\ndevices = ["vcio"]\n', 6, "'grant.0.devices.0' is wrong"),
        (HEAD + '[[grant]]\nmounts = ["/a,b"]\n', 6, "'grant.0.mounts.0' is wrong"),
        (HEAD + "= 3\n", 5, "is not valid TOML"),
        ('platform = "x"\n', 1, "'title' is missing"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said_with_file_and_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_profile(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert f":{line}" in str(caught.value) or f"line {line}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_image_has_a_profile_of_its_platform() -> None:
    # In tox this is the wheel: the profiles are part of it.
    images = {file.parent.name for file in (ROOT / "containers").glob("*/Dockerfile")}
    assert set(platforms()) == images - {"edgebench"}, "the last is two of the others under one name"
    for platform, file in platforms().items():
        profile = read_profile(file)
        assert (profile.platform, profile.image) == (platform, f"edgebench-{platform}")
    with pytest.raises(UsageError, match="there is no platform 'pii': choose one of jetson, n150, pi"):
        find_profile("pii")


def test_what_is_there_is_found_below_another_root_and_a_dangling_link_is_not(tmp_path: Path) -> None:
    (tmp_path / "sys/class/powercap").mkdir(parents=True)
    (tmp_path / "sys/class/powercap/intel-rapl:0").symlink_to("../../gone")
    (tmp_path / "sys/firmware/devicetree/base").mkdir(parents=True)
    (tmp_path / "sys/firmware/devicetree/base/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "run/jtop.sock"))
        patterns = ["/sys/class/powercap/intel-rapl:*", "/run/jtop.sock", "/sys/class/powercap", "/dev/nothing"]
        facts = facts_from(peek(patterns, root=str(tmp_path)), ["nvidia"])
    assert facts.board == "Raspberry Pi 5 Model B Rev 1.0"
    assert not facts.has("/sys/class/powercap/intel-rapl:*")
    assert facts.nodes["/run/jtop.sock"][0].kind == "socket"
    assert facts.nodes["/run/jtop.sock"][0].path == "/run/jtop.sock"
    assert facts.has("/sys/class/powercap")
    assert not facts.has("/dev/nothing")
    node = facts_from(peek(["/dev/null"]), []).nodes["/dev/null"][0]
    assert (node.kind, node.major) == ("char", 1)
    assert stat.S_IMODE(node.mode) == node.mode


@pytest.mark.parametrize("data", [{}, {"nodes": [], "board": ""}, {"nodes": {"/x": [{"odd": 1}]}, "board": ""}])
def test_an_answer_that_is_none_is_told_in_a_sentence(data: dict[str, Any]) -> None:
    with pytest.raises(ContainerError, match="is its image edgebench's"):
        facts_from(data, [])


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_lines_come_out_whole_whatever_the_pieces_and_move_no_cursor(chunks: list[bytes]) -> None:
    whole, pieces = Lines(), Lines()
    expected = [*whole.take(b"".join(chunks)), *whole.rest()]
    assert [line for chunk in chunks for line in pieces.take(chunk)] + [*pieces.rest()] == expected
    assert not [line for line in expected if "\x1b[" in line or "\r" in line]


@given(st.lists(st.sampled_from([0, 1, 2, 130])))
def test_the_worst_exit_code_counts(codes: list[int]) -> None:
    results: list[Outcome | Exception] = [Outcome(code) for code in codes]
    assert fleet.exit_code(results) == (130 if 130 in codes else max(codes, default=0))


def test_each_option_of_suite_reaches_the_container_with_its_paths(tmp_path: Path) -> None:
    model, data = tmp_path / "my net.onnx", tmp_path / "data"
    model.write_bytes(b"x")
    data.mkdir()
    words = (
        "run n150 smoke --only a* --resume --processes 3 --shape x=1x3 --shape y=2 --threads 2 --isa avx2 --cpus 1.5 "
        "--commit abcdef0 --prompt-tokens 8,16 --batch 1,4"
    )
    arguments = build_parser().parse_args(
        [*words.split(), "--model", str(model), "--data", str(data), "--cache", "vol"]
    )

    order = order_asked(arguments, ("replay:trace.csv",))
    assert order.arguments == (
        "smoke", "--only", "a*", "--resume", "--model", "/input/model/my net.onnx", "--shape", "x=1x3",
        "--shape", "y=2", "--data", "/input/data", "--processes", "3", "--prompt-tokens", "8,16", "--batch", "1,4",
        "--threads", "2", "--isa", "avx2", "-o", "-",
    )  # fmt: skip
    assert [(one.source, one.folder) for one in order.inputs] == [(str(model), False), (str(data), True)]
    assert order.specs == (f"replay:{Path.cwd() / 'trace.csv'}",)
    assert order.limits == Limits(1.5)
    here = suite_settings(order, Rights(), "i", "d", (), local=True)
    assert Bind(str(model), "/input/model/my net.onnx") in here.binds
    assert ("EDGEBENCH_COMMIT", "abcdef0") in here.environment
    there = suite_settings(order, Rights(), "i", "d", (), local=False)
    assert Bind("", "/input", writable=True, volume=True) in there.binds
    assert Bind("vol", "/cache", writable=True, volume=True) in there.binds


def test_a_token_travels_to_the_board_in_a_file_of_one_user_and_nowhere_else(tmp_path: Path) -> None:
    token, trace = tmp_path / "token", tmp_path / "trace.csv"
    token.write_text("correct-horse-battery\n", encoding="utf-8")
    trace.write_text("time_s,power_w\n", encoding="utf-8")
    specs = (f"tcp://meterhost:8765?token_file={token}", f"replay:{trace}", "tcp://meterhost:1?token_file=/board/token")
    order = order_of(find_profile("n150"), specs=specs)
    there = carrying(order)
    assert there.specs == (
        "tcp://meterhost:8765?token_file=/input/probe-0/token",
        "replay:/input/probe-1/trace.csv",
        "tcp://meterhost:1?token_file=/board/token",
    )
    rights, inside = asked_for(there.profile, Facts(), there.specs)
    assert rights.binds == (Bind("/board/token", "/probe/2-token"),), "what is not here is the board's"
    settings = suite_settings(there, rights, "i", "", inside, local=False)
    assert Bind("", "/input", writable=True, volume=True) in settings.binds
    assert "correct-horse" not in repr(settings) + " ".join(run_line(settings))
    for user, owner in ((None, (0, 0)), ("1000:1001", (1000, 1001)), ("1000", (1000, 1000))):
        with tarfile.open(fileobj=io.BytesIO(packed(there.inputs, user))) as archive:
            one, other = archive.getmembers()
        assert (one.name, one.mode, one.uid, one.gid) == ("probe-0/token", 0o400, *owner)
        assert (other.name, other.mode) == ("probe-1/trace.csv", 0o444)
    with pytest.raises(UsageError, match="write it as UID"):
        packed(there.inputs, "pi")
    before = there.digest
    token.write_text("another-horse-battery\n", encoding="utf-8")
    assert there.digest == before, "a new token is no other measurement"
    trace.write_text("time_s,power_w\n0,1\n", encoding="utf-8")
    assert there.digest != before


def test_a_models_other_files_and_its_samples_reach_the_container(tmp_path: Path) -> None:
    for name in ("net.xml", "net.bin", "a=b.npy"):
        (tmp_path / name).write_bytes(b"x")
    words = ["run", "n150", "smoke", "--model", str(tmp_path / "net.xml"), "--input", f"in=put={tmp_path / 'a=b.npy'}"]
    order = order_asked(build_parser().parse_args([*words, "--input", "y=value:1"]), ())
    assert order.arguments[1:-2] == (
        "--model", "/input/model/net.xml", "--input", "in=put=/input/input-2/a=b.npy", "--input", "y=value:1",
    )  # fmt: skip
    assert [(Path(one.source).name, one.target) for one in order.inputs] == [
        ("net.xml", "/input/model/net.xml"),
        ("net.bin", "/input/model/net.bin"),
        ("a=b.npy", "/input/input-2/a=b.npy"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "edgebench-pi",
        "edgebench-pi:0.2.0-torch",
        "ghcr.io/edgebench/edgebench-pi:0.2.0",
        "127.0.0.1:5000/edgebench-pi",
        "127.0.0.1:5000/edgebench/edgebench-pi:0.2.0",
        f"ghcr.io/edgebench/edgebench-pi@sha256:{'0' * 64}",
    ],
)
def test_the_name_of_an_image_says_the_platform_whichever_registry_has_it(name: str) -> None:
    assert Image(name, "", "", "", "arm64", 0, "", None).platform == "pi"


def test_pip_is_told_in_a_build_what_it_is_told_here(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://one.invalid/simple\ntimeout = 60\ncolor = no\n")
    text = build.pip_configuration({**environment, "PIP_INDEX_URL": "https://two.invalid/simple"})
    assert text.startswith("[global]\n")
    assert "index-url = https://two.invalid/simple\n" in text
    assert "timeout = 60\n" in text
    assert "color" not in text
    certificates = tmp_path / "ca.pem"
    certificates.write_text("x")
    secrets = build.own_secrets(tmp_path, {**environment, "PIP_CERT": str(certificates)}, ["id=pip_conf,src=/mine"])
    assert secrets == [f"id=ca_bundle,src={certificates}"]


def test_errors_of_the_engine_are_sentences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(ContainerError, match="no container engine runs here: install Docker"):
        engine.connect(f"unix://{tmp_path}/none.sock")
    with pytest.raises(ContainerError, match="there is no docker context 'nope': choose one of default"):
        engine.connect(context="nope")
    with pytest.raises(ContainerError, match="write it as ssh://"):
        engine.connect("board1")
    with pytest.raises(ContainerError, match="nothing answers ssh there"):
        engine.connect("ssh://someone@127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(ContainerError, match=r"install it with `python3 install\.py --extras launch`"):
        engine.connect()


def test_a_profile_grants_nothing_on_a_board_of_another_name() -> None:
    way = find_profile("pi").way_to("pmic")
    assert way is not None
    nodes = {"/dev/vcio": (Node("/dev/vcio", "char"),)}
    assert granted_by(way, Facts(nodes, "Raspberry Pi 4")) is None
    assert granted_by(way, Facts(nodes)) is not None, "a board that does not tell its name may be one"
