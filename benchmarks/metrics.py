"""Speed of all metrics of a case, beside MONAI and surface-distance on the same masks, in one run.

    make setup-bench
    .venv/bin/python benchmarks/metrics.py [--quick] [--json FILE]

One 512x512x150 case of 0.8x0.8x1 mm with a spleen of about 280 mL, one core. The peers work in `.venv-bench` and get
what they need for the same figures: Dice, IoU, sensitivity, precision, HD, HD95, average surface distance, surface
Dice; `surface-distance` for the distances alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from common import ONE_THREAD, PEERS_PYTHON, arguments, machine, report, versions

os.environ.update(ONE_THREAD)
SPACING = (0.8, 0.8, 1.0)  # x, y, z in mm
TOLERANCE_MM = 2.0
Figures = dict[str, float]


def masks() -> tuple[Any, Any]:
    """Return truth and prediction, bool [150, 512, 512]: bean-like bodies that differ by a few mm."""
    import numpy as np

    z, y, x = np.ogrid[:150, :512, :512]
    bend = 0.0016 * (z - 75.0) ** 2
    truth = ((z - 78) / 46) ** 2 + ((y - 330 + bend) / 42) ** 2 + ((x - 360) / 54) ** 2 < 1
    wave = 2 * np.sin(z / 7) + 2 * np.cos(y / 9)
    found = ((z - 79) / 45) ** 2 + ((y - 331 + bend) / 42) ** 2 + ((x - 361 + wave) / 54) ** 2 < 1
    return truth, found


def ours(truth: Any, found: Any) -> Figures:
    from dataclasses import asdict

    from spleenseg.metrics import case_metrics

    figures = case_metrics(truth, found, SPACING, TOLERANCE_MM)
    return {name: float(value) for name, value in asdict(figures).items() if value is not None}


def surface_distance(truth: Any, found: Any) -> Figures:
    import numpy as np
    import surface_distance as peer

    measured = peer.compute_surface_distances(truth, found, SPACING[::-1])
    distances = np.concatenate([measured["distances_gt_to_pred"], measured["distances_pred_to_gt"]])
    areas = np.concatenate([measured["surfel_areas_gt"], measured["surfel_areas_pred"]])
    return {
        "hd_mm": float(peer.compute_robust_hausdorff(measured, 100)),
        "hd95_mm": float(peer.compute_robust_hausdorff(measured, 95)),
        "assd_mm": float((distances * areas).sum() / areas.sum()),
        "nsd_2mm": float(peer.compute_surface_dice_at_tolerance(measured, TOLERANCE_MM)),
    }


def monai(truth: Any, found: Any) -> Figures:
    import torch
    from monai import metrics as peer

    torch.set_num_threads(1)
    one, other = (torch.from_numpy(mask)[None, None] for mask in (found, truth))
    way = {"include_background": True, "spacing": SPACING[::-1]}
    counts = peer.get_confusion_matrix(one.float(), other.float())
    return {
        "dice": float(peer.compute_dice(one.float(), other.float())),
        "iou": float(peer.compute_iou(one.float(), other.float())),
        "sensitivity": float(peer.compute_confusion_matrix_metric("sensitivity", counts)),
        "precision": float(peer.compute_confusion_matrix_metric("precision", counts)),
        "hd_mm": float(peer.compute_hausdorff_distance(one, other, **way)),
        "hd95_mm": float(peer.compute_hausdorff_distance(one, other, percentile=95, **way)),
        "assd_mm": float(peer.compute_average_surface_distance(one, other, symmetric=True, **way)),
        "nsd_2mm": float(peer.compute_surface_dice(one, other, class_thresholds=[TOLERANCE_MM], **way)),
    }


WORKERS: dict[str, Callable[[Any, Any], Figures]] = {"surface_distance": surface_distance, "monai": monai, "ours": ours}


def work(name: str, file: str, rounds: int) -> dict[str, Any]:
    """Measure one library in this process: seconds of each round, and the figures."""
    import numpy as np

    with np.load(file) as saved:
        truth, found = saved["truth"], saved["found"]
    measure = WORKERS[name]
    measure(truth[60:64], found[60:64])  # imports and caches
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        figures = measure(truth, found)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "figures": figures, "versions": versions("monai", "surface-distance", "torch", "scipy")}


def started(python: Path | str, name: str, file: str, rounds: int) -> dict[str, Any]:
    """Measure one library in a process of its own."""
    command = [str(python), __file__, "--worker", name, file, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **ONE_THREAD})
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure, and report."""
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
        return
    options = arguments(__doc__.splitlines()[0]).parse_args()
    if not PEERS_PYTHON.exists():
        raise SystemExit(f"{PEERS_PYTHON} is missing; run `make setup-bench` first")
    import numpy as np

    about, truth_and_found = machine(), masks()
    rounds, peers_rounds = (5, 1) if options.quick else (9, 3)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "masks.npz")
        np.savez_compressed(file, truth=truth_and_found[0], found=truth_and_found[1])
        own = started(sys.executable, "ours", file, rounds)
        peers = {name: started(PEERS_PYTHON, name, file, peers_rounds) for name in ("surface_distance", "monai")}
    seconds = median(own["seconds"])
    times = {name: median(found["seconds"]) for name, found in peers.items()}
    result = {
        "seconds": round(seconds, 4),
        "speedup_monai": round(times["monai"] / seconds, 1),
        "speedup_surface_distance": round(times["surface_distance"] / seconds, 1),
        "seconds_of_each": {name: round(value, 3) for name, value in times.items()},
        "figures": {"ours": own["figures"], **{name: found["figures"] for name, found in peers.items()}},
        "differences": differences(own["figures"], {name: found["figures"] for name, found in peers.items()}),
        "note": "MONAI's surface figures are of boundary voxels, not weighted by area: they differ, and are shown",
        "machine": about,
        "versions": {**versions("numpy", "scipy"), **peers["monai"]["versions"]},
    }
    report(result, options.json)


def differences(own: Figures, peers: dict[str, Figures]) -> dict[str, Figures]:
    """Return ours minus theirs, figure by figure."""
    return {name: {key: own[key] - value for key, value in found.items()} for name, found in peers.items()}


if __name__ == "__main__":
    main()
