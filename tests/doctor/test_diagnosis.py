"""What `doctor` says of this machine, and of one where something is wrong."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.program import PROGRAM


def doctor(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: a backend is chosen once in a process."""
    command = [*PROGRAM, "doctor", *options]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_it_measures_both_kinds_of_work_and_finds_nothing_wrong() -> None:
    done = doctor("--json", "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert 0.001 < found["seconds_per_slice"] < 10
    assert 0.1 < found["training"]["slices_per_second"] < 10_000
    assert found["training"]["backend"] == "tensorflow"
    assert found["training"]["devices"]
    versions = {part["name"]: part["version"] for part in found["parts"]}
    assert versions["Keras"] == version("keras")
    assert versions["ONNX Runtime"] == version("onnxruntime")


def test_a_backend_that_cannot_be_had_is_a_problem_with_what_to_do() -> None:
    done = doctor("--seconds", "0", KERAS_BACKEND="theano")
    assert done.returncode == 1
    assert "KERAS_BACKEND is 'theano'; there are tensorflow, jax, torch" in done.stderr
    assert "not possible as it is set up" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="a script stands in for the driver's program")
def test_a_graphics_card_the_backend_does_not_see_is_named(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA Example (UUID: GPU-1)'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    done = doctor("--seconds", "0", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1
    assert 'GPU 0: NVIDIA Example: not used by the backend; pip install ".[gpu]" in the folder of' in done.stderr


def test_a_card_that_is_asked_for_and_not_there_is_an_error() -> None:
    done = doctor("--seconds", "0", "--device", "gpu", CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")
    assert done.returncode == 2
    assert done.stderr.strip().startswith("error: --device gpu: the backend sees no such graphics card")


def test_what_is_missing_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from spleenseg.doctor import parts

    monkeypatch.setattr(parts, "find_spec", lambda module: None if module == "openvino" else True)
    found = {part.name: part for part in parts.parts()}
    assert found["OpenVINO"].version is None
    assert found["OpenVINO"].install == 'pip install ".[openvino]" in the folder of spleenseg\'s source'
    assert found["TensorFlow"].version
