"""The tasks' scores hold for any boxes, masks and logits; their networks answer alike in every form they take."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import jaccard_score

from edgebench_suites.tasks import TASKS
from edgebench_suites.tasks.detection import Detections, decode, detect, iou, mean_average_precision, suppress
from edgebench_suites.tasks.language import next_byte
from edgebench_suites.tasks.material import material_of
from edgebench_suites.tasks.scenes import SHAPES, make_scenes
from edgebench_suites.tasks.segmentation import confusion, mean_iou, pixel_accuracy
from edgebench_suites.training import Training
from edgebench_suites.zoo import MODELS, build, task_of, weights_of

torch = pytest.importorskip("torch")

CORNERS = st.tuples(*(st.integers(0, 12) for _ in range(2)), *(st.integers(1, 8) for _ in range(2)))


@st.composite
def boxes(draw: st.DrawFn, least: int = 0) -> Any:
    found = draw(st.lists(CORNERS, min_size=least, max_size=5))
    return np.array([[x, y, x + w, y + h] for x, y, w, h in found], dtype=np.float64).reshape(-1, 4)


@st.composite
def images(draw: st.DrawFn) -> tuple[list[Any], list[Any], list[Detections]]:
    """Three images: true boxes with labels, and detections near them or anywhere, best first, all scores different."""
    count = 3
    truth = [draw(boxes()) for _ in range(count)]
    labels = [
        np.array(draw(st.lists(st.integers(1, 2), min_size=len(one), max_size=len(one))), np.int64) for one in truth
    ]
    found = []
    for index in range(count):
        near = truth[index] + draw(hnp.arrays(np.float64, truth[index].shape, elements=st.integers(-1, 1).map(float)))
        every = np.concatenate([near, draw(boxes())])
        every[:, 2:] = np.maximum(every[:, 2:], every[:, :2] + 1)
        classes = draw(hnp.arrays(np.int64, len(every), elements=st.integers(1, 2)))
        ranks = np.array(draw(st.permutations(range(len(every)))), dtype=np.float64)
        scores = (1 + ranks * count + index) / 100
        order = np.argsort(-scores)
        found.append(Detections(every[order], classes[order], scores[order]))
    return truth, labels, found


@settings(max_examples=60, deadline=None)
@given(images())
def test_the_mean_average_precision_is_cocos_own(case: tuple[list[Any], list[Any], list[Detections]]) -> None:
    truth, labels, found = case
    assume(sum(map(len, truth)) > 0)
    expected = coco_map50(truth, labels, found)
    assert mean_average_precision(found, truth, labels) == pytest.approx(expected, abs=1e-9)


def coco_map50(truth: list[Any], labels: list[Any], found: list[Detections]) -> float:
    """COCO's reference evaluator on the same boxes; it writes to standard output."""
    coco = pytest.importorskip("pycocotools.coco")
    evaluator = pytest.importorskip("pycocotools.cocoeval")

    def shown(box: Any) -> list[float]:
        return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]

    known = coco.COCO()
    annotations = [
        {"image_id": image, "category_id": int(label), "bbox": shown(box), "area": float(np.prod(box[2:] - box[:2]))}
        for image, (all_boxes, all_labels) in enumerate(zip(truth, labels, strict=True))
        for box, label in zip(all_boxes, all_labels, strict=True)
    ]
    for index, one in enumerate(annotations):
        one |= {"id": index + 1, "iscrowd": 0}
    results = [
        {"image_id": image, "category_id": int(label), "bbox": shown(box), "score": float(score)}
        for image, one in enumerate(found)
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(truth))],
            "categories": [{"id": 1}, {"id": 2}],
            "annotations": annotations,
        }
        known.createIndex()
        if not results:
            return 0.0
        judge = evaluator.COCOeval(known, known.loadRes(results), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.evaluate()
        judge.accumulate()
    # [threshold, recall, class, area (all), most detections (100)]; -1 where a class has no true box.
    precision = judge.eval["precision"][0, :, :, 0, -1]
    return float(precision[:, precision[0] > -1].mean())


@settings(deadline=None)
@given(boxes(1), boxes(1))
def test_an_overlap_is_symmetric_and_whole_only_with_itself(first: Any, second: Any) -> None:
    overlaps = iou(first, second)
    assert np.allclose(overlaps, iou(second, first).T)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()
    assert np.allclose(np.diag(iou(first, first)), 1.0)


@settings(deadline=None)
@given(boxes(1))
def test_suppression_keeps_the_best_and_nothing_that_overlaps_it(found: Any) -> None:
    kept = suppress(found, 0.5)
    assert kept[0] == 0
    rest = iou(found[kept], found[kept]) - np.eye(len(kept))
    assert (rest <= 0.5).all()
    for index in set(range(len(found))) - set(kept.tolist()):
        assert (iou(found[index : index + 1], found[[k for k in kept if k < index]]) > 0.5).any()


def test_decoding_and_suppressing_are_torchvisions() -> None:
    from edgebench_suites.vision import import_torchvision

    import_torchvision()
    from torchvision.models.detection._utils import BoxCoder

    rng = np.random.default_rng(1)
    anchors = np.sort(rng.uniform(0, 96, (50, 2, 2)), axis=1).reshape(50, 4).astype(np.float32)
    regressions = rng.normal(0, 2, (50, 4)).astype(np.float32)
    expected = BoxCoder((10.0, 10.0, 5.0, 5.0)).decode_single(torch.from_numpy(regressions), torch.from_numpy(anchors))
    assert np.allclose(decode(regressions, anchors), expected.numpy(), rtol=1e-4, atol=1e-3)
    broken = np.full((50, 4), np.nan, np.float32)
    assert len(detect(broken, broken, anchors, 96).scores) == 0


@settings(deadline=None)
@given(
    hnp.arrays(np.int64, (2, 4, 4), elements=st.integers(0, 3)),
    hnp.arrays(np.int64, (2, 4, 4), elements=st.integers(0, 3)),
)
def test_the_mean_iou_is_scikit_learns_jaccard_score(found: Any, truth: Any) -> None:
    counts = confusion(found, truth, 4)
    present = sorted(set(np.unique(found)) | set(np.unique(truth)))
    expected = jaccard_score(truth.ravel(), found.ravel(), labels=present, average="macro", zero_division=0)
    assert mean_iou(counts) == pytest.approx(expected)
    assert pixel_accuracy(counts) == pytest.approx((found == truth).mean())


def test_scenes_are_the_same_again_and_their_boxes_hold_their_pixels() -> None:
    scenes, again, more = make_scenes(4, 48, 7), make_scenes(4, 48, 7), make_scenes(6, 48, 7)
    assert scenes.digest == again.digest
    assert np.array_equal(more.images[:4], scenes.images)
    assert make_scenes(4, 48, 8).digest != scenes.digest
    for mask, found, labels in zip(scenes.masks, scenes.boxes, scenes.labels, strict=True):
        covered = np.zeros_like(mask)
        for (left, top, right, bottom), label in zip(found.astype(int), labels, strict=True):
            inside = mask[top:bottom, left:right]
            rows, columns = np.nonzero(inside)
            assert set(np.unique(inside)) <= {0, label}
            assert (rows.min(), columns.min()) == (0, 0), SHAPES[label]
            assert (rows.max() + 1, columns.max() + 1) == inside.shape
            covered[top:bottom, left:right] = 1
        assert not mask[covered == 0].any()


def test_decoding_byte_by_byte_is_the_full_forward_pass() -> None:
    from edgebench_suites.zoo import build

    module, _ = build("byte_gpt_decode", num_classes=256, seed=1, width_mult=0.25)
    tokens = torch.randint(0, 256, (2, 12), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        full, whole_cache = module.eval()(tokens)
        _, cache = module(tokens[:, :5])
        steps = []
        for place in range(5, 12):
            logits, cache = module(tokens[:, place : place + 1], cache)
            steps.append(logits)
    assert torch.allclose(torch.cat(steps, dim=1), full[:, 5:], atol=1e-4)
    assert torch.allclose(cache, whole_cache, atol=1e-4)
    shapes = task_of("byte_gpt_decode").shapes(2, 12, 0.25)
    assert shapes["past"] == tuple(cache.shape)


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (2, 3, 5), elements=st.floats(-50, 50)),
    hnp.arrays(np.int64, (2, 3), elements=st.integers(0, 4)),
)
def test_the_next_byte_is_scored_by_cross_entropy(logits: Any, following: Any) -> None:
    right, total, loss = next_byte(logits, following)
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).flatten(0, 1), torch.from_numpy(following).flatten()
    )
    assert loss == pytest.approx(float(expected), abs=1e-9)
    assert 0 <= right <= total == 6


def test_vit_tiny_is_torchvisions_size_and_takes_any_image() -> None:
    from edgebench_suites.vision import import_torchvision
    from edgebench_suites.zoo import architecture

    module: Any = architecture("vit_tiny", num_classes=10).eval()
    theirs = import_torchvision().models.VisionTransformer(224, 16, 12, 3, 192, 768, num_classes=10)
    assert sum(p.numel() for p in module.parameters()) == sum(p.numel() for p in theirs.parameters())
    # With the same weights it is the same function: theirs names attention's two layers differently.
    names = {
        "qkv.weight": "in_proj_weight",
        "qkv.bias": "in_proj_bias",
        "out.weight": "out_proj.weight",
        "out.bias": "out_proj.bias",
    }
    state = module.state_dict()
    for mine, other in names.items():
        state = {
            key.replace(f"self_attention.{mine}", f"self_attention.{other}"): value for key, value in state.items()
        }
    torch.nn.init.normal_(state["heads.head.weight"])
    module.heads.head.weight.data.copy_(state["heads.head.weight"])
    theirs.load_state_dict(state)
    image = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(module(image), theirs.eval()(image), atol=1e-3)
        assert module(torch.zeros(2, 3, 64, 48)).shape == (2, 10)


def test_a_text_is_read_window_by_window_and_gives_the_same_weights_again() -> None:
    def trained() -> Any:
        module, _ = build("byte_llama", num_classes=256, seed=3, width_mult=0.125)
        before = module.get_parameter("output.weight").detach().clone()
        training = Training(32, epochs=1, lr=1e-2, seed=3, batch=1, subset=0.002, schedule="one-cycle")
        material_of("generation", 32, 3).train(module, training)
        assert not torch.equal(before, module.get_parameter("output.weight")), "a batch of one trains as well"
        return module.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_model_has_a_task_and_shared_weights_are_of_one_network() -> None:
    assert {info.task for info in MODELS.values()} == set(TASKS)
    assert weights_of("byte_gpt_decode") == weights_of("byte_gpt_prefill") == "byte_gpt_prefill"
    assert all(weights_of(name) == name for name in MODELS if name != "byte_gpt_decode")


def test_coco_heads_of_other_classes_are_left_out(tmp_path: Path) -> None:
    from edgebench_suites.zoo import build

    for name in ("ssdlite320_mobilenet_v3_large", "lraspp_mobilenet_v3_large"):
        source, _ = build(name, num_classes=21, seed=1)
        torch.save(source.state_dict(), tmp_path / "weights.pth")
        module, origin = build(name, num_classes=4, seed=2, weights=tmp_path / "weights.pth")
        assert origin == "file weights.pth"
        first = next(iter(module.state_dict()))
        assert torch.equal(module.state_dict()[first], source.state_dict()[first])
