"""Write docs/reference/models.md from what `benchmarks/models.py` measured.

`python docs/generate_model_table.py [FILE]`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from spleenseg.files import write_text
from spleenseg.models.registry import ARCHITECTURES, NOT_YET, resolve

MEASURED = Path(__file__).parents[1] / "benchmarks" / "models.json"
PAGE = Path(__file__).parent / "reference" / "models.md"
_INTRODUCTION = """\
# Networks

This page is written by `docs/generate_model_table.py` from what `benchmarks/models.py` measured. Do not edit it.

`[model] model` names the network, with or without `Tensorflow`, in capitals or not. `spleenseg models list` lists
them, `spleenseg models show CONFIG` draws the one of a config with a table of its layers. Which keys a network reads
stands in [config keys](config.md), and `config show` marks those without effect. Networks accept any size their
stride allows (the error says which would do), 1 or 3 channels or the slices of `[dataset] context`, and several
classes.

{papers}

{awaited}
"""
_COST = """\
## What each costs

{side} x {side} pixels, {channels} channels, one class, all other settings at their defaults. A GFLOP is 1e9
multiplications or additions of one image. Step: training on {batch} images, forward and backward; inference: one
image. Medians of {rounds} after a warm-up, in float32, on {machine};
{versions}.

{table}
"""
_TRAINING = """\
## Training more than the last logits

`[model] deep_supervision = True` lets UNet3Plus, U2Net, BASNet, ResEncUNet and FastUNet learn from logits made on the
way as well: the loss is the mean over all of them, weighted as the paper has it (each 1; in ResEncUNet and FastUNet
half as much at each coarser level). Validation, metrics and what is saved know the network's own logits only. UNet3Plus
has also `classification_guided`: the organ's probability is multiplied with that of its being in the image at all.

## Losses

`[model] loss` names one; [config keys](config.md#losses) lists them, and `_loss` may be left out. All take logits and
compute in float32 whatever `[train] precision` says. Overlaps are summed over the whole batch; `[model] batch_dice =
False` sums them image by image. `boundary_loss` adds to the Dice loss a hundredth of the mean of distance times
error, with exact distances to the edge of the truth, in pixels, made once a batch.

## Starting from trained weights

`[model] pretrained = "imagenet"` starts the encoder of EfficientUNet, EfficientNetB7UNet or DeepLabV3Plus from the
weights that Keras Applications publishes. Nothing is ever fetched: if the file is not where Keras keeps it
(`~/.keras/models`), the error says which file to put where. The path of such a file, or of a model of the same kind
that Keras saved, does as well. The colours' normalisation it was trained with goes into the first layer's weights,
so nothing else changes.

`[model] init_from = "../other/run"` starts from the best weights of another run: every layer of the same name and
shape takes them, so that another number of classes or channels costs the first or the last layer only. One line says
what fitted; `run.json` keeps it under `initial`.
"""


def page(measured: dict[str, Any]) -> str:
    """Return the whole page as Markdown."""
    papers = _table([("network", "paper")], [(each.name, each.paper) for each in ARCHITECTURES])
    awaited = "\n".join(f"`{name}` is not built yet: {reason}." for name, reason in NOT_YET.items())
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    machine = measured["machine"]
    load = f" (load {machine['load'][0]:.1f} at the end)" if machine["load"] else ""
    cost = _COST.format(
        **{key: measured[key] for key in ("side", "channels", "batch", "rounds")},
        machine=f"{machine['processor']}, {machine['cores']} cores{load}",
        versions=versions,
        table=_costs(measured["networks"]),
    )
    return "\n".join([_INTRODUCTION.format(papers=papers, awaited=awaited), cost, _TRAINING])


def _costs(networks: list[dict[str, Any]]) -> str:
    rows = [
        (
            resolve(row["name"]).name,
            f"{row['parameters']:,}",
            f"{row['gflop']:.1f}",
            _milliseconds(row["step_s"]),
            _milliseconds(row["inference_s"]),
        )
        for row in networks
    ]
    return _table([("network", "parameters", "GFLOP", "step, ms", "inference, ms")], rows, right=4)


def _milliseconds(seconds: float | None) -> str:
    return "not measured" if seconds is None else f"{1000 * seconds:,.0f}"


def _table(head: list[tuple[str, ...]], rows: list[tuple[str, ...]], right: int = 0) -> str:
    columns = len(head[0])
    rule = tuple("---:" if place >= columns - right else "---" for place in range(columns))
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, rule, *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=MEASURED, help="the JSON that benchmarks/models.py wrote")
    write_text(PAGE, page(json.loads(parser.parse_args().file.read_text(encoding="utf-8"))))
