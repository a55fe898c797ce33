"""Answers protocol 1 with what a real worker answered in November 2026; a question of any other form ends it."""

import json
import sys
from pathlib import Path
from typing import Any

CLOCK = {
    "started_s": 3439.08,
    "finished_s": 3440.02,
    "loading_s": 3439.48,
    "measuring_s": 3439.88,
    "measured_s": 3440.02,
}
PLAN: dict[str, Any] = {"suite": str, "only": (str, type(None)), "threads": (int, type(None)),
        "data": (str, type(None)), "cpus": list,
        "probes": dict, "prepare": bool}  # fmt: skip
RUN: dict[str, Any] = {"job": str, "loops": int, "first": bool}
JOB = "a job of another form than today's"


def plan(_: dict[str, Any]) -> dict[str, Any]:
    params = {
        "model": "copy-cache", "variant": "baseline", "backend": "openvino", "precision": "fp32", "batch": 1,
        "threads": 1, "image_size": 224, "width": 1.0, "isa": "none", "operator": "copy-cache", "tokens": None,
    }  # fmt: skip
    cell = {
        "name": "copy-cache/openvino/fp32/t1", "params": params, "threads": 1, "isa": "none", "limit_s": 900.0,
        "estimate_s": 1.56, "job": JOB,
    }  # fmt: skip
    sustained = {**cell, "name": "copy-cache/openvino/fp32/t1/sustained", "reason": "sustained load heats up"}
    del sustained["job"]
    return {
        "type": "plan", "clock": {"started_s": 3437.57, "finished_s": 3438.47}, "edgebench": "0.1.0",
        "python": "3.11.7", "suite_digest": "e3138373302040a114ae437440ea770de8f5cb58b88ac22d128b298b023be36a",
        "seed": 42, "cells": [cell, sustained],
    }  # fmt: skip


def run(question: dict[str, Any]) -> dict[str, Any]:
    assert question["job"] == JOB
    window = {
        "probe": "rapl", "scope": "package", "index": 0, "passes": 1000, "seconds": 2.0, "energy_j": 14.0,
        "uncertainty_j": 0.01, "systematic_j": 0.1, "parts_j": {"resolution": 0.01}, "samples": 2, "max_gap_s": 2.0,
        "coverage": 1.0, "begin_s": 3440.0, "end_s": 3442.0,
    }  # fmt: skip
    return {
        "type": "inference", "clock": CLOCK, "versions": {"openvino": "2026.4.1"},
        **({"settings": {"threads": 1}, "layers": {"executed": 1, "counts": {}}} if question["first"] else {}),
        "process": {"load_s": 0.0, "compile_s": 0.0927, "first_inference_s": 0.000823, "cpu_percent": 101.68,
                    "peak_memory_bytes": 96980992},
        "inputs": [{"name": "x", "shape": [1, 32768], "dtype": "float32"}],
        "times": {"values": [1.8759e-05, 1.67018e-05, 2.0306e-05], "warmups": [6.87918e-05],
                  "loops": question["loops"] or 5, "passes": 20, "p50_s": 1.4175e-05, "p90_s": 2.63e-05,
                  "p95_s": 2.7548e-05, "p99_s": 3.0321e-05, "min_s": 1.2396e-05, "max_s": 3.1015e-05},
        "energy": {"windows": [window]},
        "operator": {"operations": None, "bytes_moved": 524288},
    }  # fmt: skip


def main(arguments: list[str]) -> None:
    if arguments == ["worker", "--protocols"]:
        sys.stdout.write('{"edgebench":"0.1.0","protocols":[1]}\n')
        return
    worker, protocol, number, question_file, answer_file = arguments
    assert (worker, protocol, number) == ("worker", "--protocol", "1")
    question = json.loads(Path(question_file).read_text())
    kind = question.pop("type")
    form, answer = (PLAN, plan) if kind == "plan" else (RUN, run)
    assert question.keys() == form.keys(), question.keys()
    assert all(isinstance(question[name], of) for name, of in form.items()), question
    Path(answer_file).write_text(json.dumps(answer(question)))


main(sys.argv[1:])
