"""How fast trained networks segment, beside other programs' networks.

    python benchmarks/inference.py [--quick] [--json FILE] [--side PIXELS] [--slices COUNT]

Networks have random weights and the sizes below; the scan is noise of tissue, read from NIfTI.gz and written back.

seconds_per_slice  of 512 x 512, by network ("reference": its U-Net, "recommended": FastUNet) and precision: exact
                   (ONNX Runtime), fast (OpenVINO, bfloat16; null without it), int8 (OpenVINO; ONNX Runtime without it)
openvino_exact     the same with OpenVINO in float32
onnx_int8          the same with ONNX Runtime in int8
first_mask_s       from the start of the program to its end for one slice, reference network; the least of the rounds
first_mask_recommended_s  the same with the recommended network
first_mask_median_s  by network, the median of the rounds
volume_s           the program from start to end for the whole scan, recommended network; median of the rounds
volume_peak_mb     the most memory it had (Linux; else null)
volume_reference_s the same with the reference network, once: exact, and fast (OpenVINO; null without it)
speedup_monai      MONAI end to end over `volume_s`, both whole processes on the same file, taking turns: what its
                   spleen bundle does (`inference_peers.segment`), from importing MONAI to the label map on the scan's
                   own grid; `peers.monai_pipeline_s` is that without the imports
speedup_monai_network  MONAI's network ALONE, in a process that is warm, through its sliding window on the scan at
                   1.5 x 1.5 x 2 mm, over `volume_s`, which is the whole program
speedup_nnunet3d   nnU-Net's 3-D plan, EXTRAPOLATED from a few patches, without mirroring, over `volume_s`
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from common import PEERS_PYTHON, arguments, machine, report, versions
from spleenseg.config import load_config
from spleenseg.datasets.manifest import Expectation
from spleenseg.errors import UserError
from spleenseg.inference.engine_choice import INT8_NAME
from spleenseg.inference.export import export
from spleenseg.inference.exported_formats import write_onnx
from spleenseg.inference.labels import HALF
from spleenseg.inference.loading import load_predictor, load_run
from spleenseg.inference.model_card import LICENCE, ModelCard
from spleenseg.inference.onnx_graph import complete
from spleenseg.inference.onnx_network import network_of
from spleenseg.inference.quantise import quantised
from spleenseg.inference.slices import predict_slices
from spleenseg.models.build import build_model
from spleenseg.models.run_folder import RunFolder, RunManifest
from spleenseg.volumes import Volume, write_volume

PEERS = Path(__file__).with_name("inference_peers.py")
SPACING = (0.8, 0.8, 2.5)
MONAI_SPACING = (1.5, 1.5, 2.0)
NNUNET_SPACING = (0.79, 0.79, 1.6)
NNUNET_STEP = 0.5
FIRST_ROUNDS = 7  # of the first mask: it is over in a second, in which the machine does much else
NETWORKS: dict[str, dict[str, Any]] = {
    "reference": {
        "model": "TensorflowUNet",
        "image_channels": 3,
        "base_filters": 16,
        "num_layers": 7,
        "base_kernels": (5, 5),
        "dilation": (2, 2),
    },
    "recommended": {"model": "FastUNet", "image_channels": 1, "base_filters": 16, "num_layers": 6},
}
LOOK = Expectation(window_hu=(-160, 240), display="radiological", pixel_mm=None, context=0, labels={"spleen": 1})


def in_int8(root: Path, name: str, side: int) -> Path:
    """Export the same run in int8, calibrated on noise: random weights have no Dice that it could change."""
    run = root / name
    trained = load_run(run, HALF)
    card = ModelCard.of(trained.config, trained.manifest, version("spleenseg"), HALF, LICENCE)
    shape = (1, side, side, card.image_channels)
    noise = [np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32) for seed in range(2)]
    trained.model.predict_on_batch(noise[0])
    small = quantised(network_of(trained.model, card.model), noise)
    path = run / INT8_NAME
    write_onnx(complete(small, card.model_copy(update={"precision": "int8"})), path)
    return path


def exported(root: Path, name: str, side: int) -> Path:
    """Make a run folder of random weights and export it."""
    keys = {"image_width": side, "image_height": side, "num_classes": 1, **NETWORKS[name]}
    lines = "\n".join(f"{key} = {value!r}" for key, value in keys.items())
    folder = root / name
    folder.mkdir()
    (folder / "train_eval_infer.config").write_text(f"[model]\n{lines}\n[train]\nsave_weights_only = True\n")
    config = load_config(folder / "train_eval_infer.config")
    run, model = RunFolder.of(config), build_model(config.model)
    run.models_dir.mkdir()
    model.save_weights(run.best_weights)
    start = RunManifest.start(config, model, LOOK, {}, {})
    start.with_best(0, {}, run.best_weights, run.root).with_end().write(run.manifest)
    return export(folder).path


def scan(path: Path, side: int, slices: int) -> np.ndarray:
    """Write a body of soft tissue with noise in air, int16 HU [z, y, x]."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = (x / 0.85) ** 2 + (y / 0.65) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 15, (slices, side, side))
    hu = np.where(body, 40 + noise, -1000).astype(np.int16)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    write_volume(Volume.from_stored(np.ascontiguousarray(hu.transpose(2, 1, 0)), affine, case="scan"), path)
    return hu


def seconds_per_slice(model: Path, hu: np.ndarray, rounds: int, **engine: str) -> float | None:
    """Return the median over rounds; None where the engine is missing."""
    try:
        predictor = load_predictor(model, **engine)
        predict_slices(hu, predictor)
    except UserError:
        return None
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        predict_slices(hu, predictor)
        times.append((time.perf_counter() - started) / len(hu))
    return round(median(times), 4)


CHILD = """
import atexit
from pathlib import Path
from spleenseg.cli.app import main

def most():
    own = Path("/proc/self/status")  # resource.ru_maxrss would count what the parent had before this program began
    lines = own.read_text().splitlines() if own.exists() else []
    print(next((line.split()[1] for line in lines if line.startswith("VmHWM")), "nan"))

atexit.register(most)
main()
"""


def program(path: Path, model: Path, out: Path, *options: str) -> tuple[float, float]:
    """Segment a scan by the program in a process of its own; return its seconds and its most memory in MB."""
    words = ["segment", str(path), "--model", str(model), "-o", str(out), "--quiet", *options]
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD, *words], check=True, capture_output=True, text=True)
    return time.perf_counter() - started, float(done.stdout.split()[-1]) / 1024


def monai_end_to_end(path: Path, out: Path, side: int) -> tuple[float, float]:
    """Segment a scan as MONAI's spleen bundle does; return the seconds of the process, and without its imports."""
    started = time.perf_counter()
    words = [PEERS_PYTHON, PEERS, "segment", path, out, str(patch_of(side))]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    assert any(out.glob("*.nii.gz"))  # it wrote a label map
    return seconds, json.loads(done.stdout.splitlines()[-1])["monai_pipeline_s"]


def patch_of(side: int) -> int:
    return 32 if side < 256 else 96


def peers(side: int, slices: int, quick: bool) -> dict[str, Any]:
    """Return seconds of a whole scan with MONAI's and (extrapolated) nnU-Net's networks alone."""
    extent = (side * SPACING[0], side * SPACING[1], slices * SPACING[2])
    grid = [math.ceil(length / step) for length, step in zip(extent, MONAI_SPACING, strict=True)]
    words = ["networks", *(str(value) for value in (*grid, patch_of(side), 1 if quick else 3))]
    done = subprocess.run([PEERS_PYTHON, PEERS, *words], check=True, capture_output=True, text=True, env=os.environ)
    found: dict[str, Any] = json.loads(done.stdout)
    lengths = [length / step for length, step in zip(extent, NNUNET_SPACING, strict=True)][::-1]
    counts = [
        max(1, math.ceil((length - patch) / (patch * NNUNET_STEP)) + 1)
        for length, patch in zip(lengths, found["nnunet_patch"], strict=True)
    ]
    return {
        **found,
        "nnunet_patches": math.prod(counts),
        "nnunet_s_extrapolated": math.prod(counts) * found["nnunet_patch_s"],
    }


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=512, help="pixels of a slice and of the networks")
    parser.add_argument("--slices", type=int, default=100, help="slices of the scan")
    options = parser.parse_args()
    rounds, few = (1, 4) if options.quick else (3, 8)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        models = {name: exported(root, name, options.side) for name in NETWORKS}
        hu = scan(root / "scan.nii.gz", options.side, options.slices)
        scan(root / "slice.nii.gz", options.side, 1)
        speed, openvino, onnx_int8 = {}, {}, {}
        for name, model in models.items():
            exact = seconds_per_slice(model, hu[:few], rounds)
            fast = seconds_per_slice(model, hu[:few], rounds, engine="openvino", precision="fast")
            small = in_int8(root, name, options.side)
            int8 = seconds_per_slice(small, hu[:few], rounds, precision="int8")
            speed[name] = {"exact": exact, "fast": fast, "int8": int8}
            onnx_int8[name] = seconds_per_slice(small, hu[:few], rounds, engine="onnx", precision="int8")
            openvino[name] = seconds_per_slice(model, hu[:few], rounds, engine="openvino")
        first = {
            name: [program(root / "slice.nii.gz", model, root / f"{name}-{i}")[0] for i in range(FIRST_ROUNDS)]
            for name, model in models.items()
        }
        ours, monai = [], []
        for i in range(rounds):
            ours.append(program(root / "scan.nii.gz", models["recommended"], root / f"whole-{i}"))
            if PEERS_PYTHON.exists():
                monai.append(monai_end_to_end(root / "scan.nii.gz", root / f"monai-{i}", options.side))
        reference_s = {"exact": program(root / "scan.nii.gz", models["reference"], root / "reference")[0], "fast": None}
        if speed["reference"]["fast"]:
            fast = program(root / "scan.nii.gz", models["reference"], root / "fast", "--precision", "fast")
            reference_s["fast"] = fast[0]
        volume_s, peak = median(seconds for seconds, _ in ours), max(most for _, most in ours)
    theirs = peers(options.side, options.slices, options.quick) if monai else {}
    if monai:
        theirs["monai_volume_s"], theirs["monai_pipeline_s"] = (median(column) for column in zip(*monai, strict=True))
    result = {
        "seconds_per_slice": speed,
        "openvino_exact": openvino,
        "onnx_int8": onnx_int8,
        "first_mask_s": round(min(first["reference"]), 2),
        "first_mask_recommended_s": round(min(first["recommended"]), 2),
        "first_mask_median_s": {name: round(median(seconds), 2) for name, seconds in first.items()},
        "volume_s": round(volume_s, 2),
        "volume_peak_mb": None if math.isnan(peak) else round(peak),
        "volume_reference_s": {name: seconds and round(seconds, 1) for name, seconds in reference_s.items()},
        "speedup_monai": round(theirs["monai_volume_s"] / volume_s, 1) if theirs else None,
        "speedup_monai_network": round(theirs["monai_s"] / volume_s, 1) if theirs else None,
        "speedup_nnunet3d": round(theirs["nnunet_s_extrapolated"] / volume_s, 1) if theirs else None,
        "peers": theirs,
        "scan": [options.slices, options.side, options.side],
        "machine": machine(),
        "versions": versions("onnxruntime", "openvino", "keras", "numpy"),
    }
    report(result, options.json)


if __name__ == "__main__":
    main()
