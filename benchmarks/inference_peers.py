"""MONAI's 3-D U-Net of its spleen bundle's size and nnU-Net's 3-D plan on a processor; run in .venv-bench.

    python inference_peers.py networks SIZE_X SIZE_Y SIZE_Z PATCH TIMED
    python inference_peers.py segment SCAN OUT PATCH

`networks` prints JSON: seconds of MONAI's network through its sliding window over a grid of that size, and seconds of
one patch of a plain 3-D U-Net as nnU-Net plans it. `segment` does with a NIfTI file what the inference of MONAI's
spleen bundle (spleen_ct_segmentation) does, from reading it to a label map on its own grid, without the bundle's
engine around it, and prints JSON: the seconds of that without importing MONAI. Weights are random: only the cost is
compared.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from monai import transforms as do
from monai.inferers import sliding_window_inference
from monai.networks.nets import UNet

BATCH, OVERLAP = 4, 0.5
NNUNET_PATCH = (64, 192, 160)
NNUNET_FILTERS = (32, 64, 128, 256, 320, 320)
NNUNET_STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))


def seconds_of(step: object, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - started) / times


def network() -> UNet:
    return UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2, norm="batch").eval()


def networks(x: int, y: int, z: int, patch: int, timed: int) -> None:
    from monai.networks.nets import DynUNet

    unet, grid = network(), torch.zeros(1, 1, x, y, z)
    monai = seconds_of(lambda: sliding_window_inference(grid, (patch,) * 3, BATCH, unet, overlap=OVERLAP), 1)
    kernels = [[1, 3, 3], *[[3, 3, 3]] * 5]
    strides = [list(stride) for stride in NNUNET_STRIDES]
    plan = DynUNet(3, 1, 2, kernels, strides, strides[1:], filters=NNUNET_FILTERS, norm_name="instance").eval()
    size = NNUNET_PATCH if patch >= 96 else (16, 64, 64)
    nnunet = seconds_of(lambda: plan(torch.zeros(1, 1, *size)), timed)
    print(json.dumps({"monai_s": monai, "nnunet_patch_s": nnunet, "nnunet_patch": size, "torch": torch.__version__}))


def segment(scan: str, out: str, patch: int) -> None:
    started = time.perf_counter()
    before = do.Compose(
        [
            do.LoadImaged("image"),
            do.EnsureChannelFirstd("image"),
            do.Orientationd("image", axcodes="RAS"),
            do.Spacingd("image", pixdim=(1.5, 1.5, 2.0), mode="bilinear"),
            do.ScaleIntensityRanged("image", a_min=-57, a_max=164, b_min=0, b_max=1, clip=True),
            do.EnsureTyped("image"),
        ]
    )
    after = do.Compose(
        [
            do.Activationsd("pred", softmax=True),
            do.Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
            do.AsDiscreted("pred", argmax=True),
            do.SaveImaged("pred", output_dir=out, output_postfix="seg", separate_folder=False, print_log=False),
        ]
    )
    item = before({"image": scan})
    image = item["image"][None]
    item["pred"] = sliding_window_inference(image, (patch,) * 3, BATCH, network(), overlap=OVERLAP)[0]
    after(item)
    print(json.dumps({"monai_pipeline_s": time.perf_counter() - started}))


def main() -> None:
    kind, *words = sys.argv[1:]
    with torch.inference_mode():
        if kind == "networks":
            networks(*(int(word) for word in words))
        else:
            segment(words[0], words[1], int(words[2]))


if __name__ == "__main__":
    main()
