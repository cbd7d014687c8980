"""MONAI's 3-D U-Net of its spleen bundle's size and nnU-Net's 3-D plan on a processor; run in .venv-bench.

    python inference_peers.py SIZE_X SIZE_Y SIZE_Z PATCH TIMED

Prints JSON: seconds of MONAI's network through its sliding window over a grid of that size, and seconds of one patch
of a plain 3-D U-Net as nnU-Net plans it. Weights are random: only the cost is compared.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from monai.inferers import sliding_window_inference
from monai.networks.nets import DynUNet, UNet

NNUNET_PATCH = (64, 192, 160)
NNUNET_FILTERS = (32, 64, 128, 256, 320, 320)
NNUNET_STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))


def seconds_of(step: object, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - started) / times


def main() -> None:
    x, y, z, patch, timed = (int(word) for word in sys.argv[1:6])
    with torch.inference_mode():
        network = UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2, norm="batch").eval()
        grid = torch.zeros(1, 1, x, y, z)
        monai = seconds_of(lambda: sliding_window_inference(grid, (patch,) * 3, 4, network, overlap=0.5), 1)
        kernels = [[1, 3, 3], *[[3, 3, 3]] * 5]
        strides = [list(stride) for stride in NNUNET_STRIDES]
        plan = DynUNet(3, 1, 2, kernels, strides, strides[1:], filters=NNUNET_FILTERS, norm_name="instance").eval()
        size = NNUNET_PATCH if patch >= 96 else (16, 64, 64)
        nnunet = seconds_of(lambda: plan(torch.zeros(1, 1, *size)), timed)
    print(json.dumps({"monai_s": monai, "nnunet_patch_s": nnunet, "nnunet_patch": size, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
