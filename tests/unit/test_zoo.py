"""The zoo: architectures, heads, and where weights may come from."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgebench_suites.errors import SuiteDataError
from edgebench_suites.zoo import MODELS, architecture, build, last_linear

if TYPE_CHECKING:
    from torch import Tensor, nn

torch = pytest.importorskip("torch")


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_mobilenet_v2_is_the_studys_network() -> None:
    module = architecture("mobilenet_v2", num_classes=10)
    assert sum(parameter.numel() for parameter in module.parameters()) == 2_236_682
    _, head = last_linear(module)
    assert (head.in_features, head.out_features) == (1280, 10)
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    # The study prints 8.76 MB for its baseline; that is this file in MiB.
    assert f"{len(buffer.getvalue()) / 2**20:.2f}" == "8.76"


@pytest.mark.parametrize(
    "name", [name for name, info in MODELS.items() if name != "vgg19" and info.task == "classification"]
)
def test_every_model_gives_the_asked_classes(name: str) -> None:
    with torch.inference_mode():
        assert architecture(name, num_classes=7).eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_a_seed_decides_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, origin = build("mobilenet_v2", num_classes=10, seed=1, width_mult=0.35)
    assert torch.rand(1) == expected
    again, _ = build("mobilenet_v2", num_classes=10, seed=1, width_mult=0.35)
    other, _ = build("mobilenet_v2", num_classes=10, seed=2, width_mult=0.35)
    assert origin == "seeded initialisation (seed 1)"
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(last_linear(first)[1].weight, last_linear(other)[1].weight)


def test_weights_of_another_head_give_the_features(tmp_path: Path) -> None:
    source = architecture("mobilenet_v3_small", num_classes=1000)
    path = tmp_path / "mine.pth"
    torch.save(source.state_dict(), path)
    module, origin = build("mobilenet_v3_small", num_classes=10, seed=42, weights=path)
    assert origin == "file mine.pth"
    assert last_linear(module)[1].out_features == 10
    name = next(iter(state_of(source)))
    assert torch.equal(state_of(module)[name], state_of(source)[name])


def test_torchvisions_cache_is_used_only_when_the_file_is_what_its_name_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    buffer = io.BytesIO()
    source = architecture("mobilenet_v2", num_classes=1000)
    torch.save(source.state_dict(), buffer)
    path = tmp_path / "checkpoints" / MODELS["mobilenet_v2"].weights_file
    path.write_bytes(buffer.getvalue())
    with pytest.raises(SuiteDataError, match=r"b0353104\.pth: is not the file its name says"):
        build("mobilenet_v2", num_classes=10, seed=42)

    name = f"mobilenet_v2-{sha256(buffer.getvalue()).hexdigest()[:8]}.pth"
    path.rename(path.with_name(name))
    info = MODELS["mobilenet_v2"]
    monkeypatch.setitem(MODELS, "mobilenet_v2", type(info)(info.name, info.builder, name, info.paper, info.kwargs))
    module, origin = build("mobilenet_v2", num_classes=10, seed=42)
    assert origin == "torchvision IMAGENET1K_V1 from cache"
    assert torch.equal(state_of(module)["features.0.0.weight"], state_of(source)["features.0.0.weight"])
    _, narrow = build("mobilenet_v2", num_classes=10, seed=42, width_mult=0.5)
    assert narrow == "seeded initialisation (seed 42)"


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_unusable_weights_are_one_sentence_and_run_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    hostile = tmp_path / "hostile.pth"
    torch.save({"features.0.0.weight": _Bomb(mark)}, hostile)
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps(_Bomb(mark)))
    truncated = tmp_path / "truncated.pth"
    torch.save(architecture("mobilenet_v2", num_classes=10, width_mult=0.35).state_dict(), truncated)
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    other = tmp_path / "other.pth"
    torch.save(architecture("mobilenet_v3_small", num_classes=10).state_dict(), other)
    for path in (hostile, plain, truncated, other, tmp_path / "absent.pth"):
        with pytest.raises(SuiteDataError, match=path.name) as caught:
            build("mobilenet_v2", num_classes=10, seed=42, weights=path)
        assert "\n" not in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize(("name", "width"), [("lenet", 1.0), ("resnet50", 0.5), ("mobilenet_v2", 0.0)])
def test_what_does_not_exist_is_refused(name: str, width: float) -> None:
    with pytest.raises(SuiteDataError, match=name):
        architecture(name, num_classes=10, width_mult=width)


def test_a_network_of_torchvision_loads_no_compiler_and_its_operators_ask_it_when_they_run() -> None:
    code = (
        "import sys, torch; from edgebench_suites.zoo import architecture; "
        "module = architecture('mobilenet_v2', num_classes=10, width_mult=0.35).eval(); "
        "print(tuple(module(torch.zeros(1, 3, 64, 64)).shape), 'torch._dynamo' in sys.modules); "
        "from torchvision.ops import RoIAlign; "
        "print(tuple(RoIAlign(2, 1.0, -1)(torch.ones(1, 1, 8, 8), torch.tensor([[0, 0, 0, 4, 4.0]])).shape)); "
        "print(hasattr(sys.modules['torch._dynamo'], 'optimize'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[:1] == ["(1, 10) False"], done.stderr
    assert done.stdout.splitlines()[1:] == ["(1, 1, 2, 2)", "True"], done.stderr
