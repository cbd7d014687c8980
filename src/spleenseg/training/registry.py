"""Which names `[model] loss`, `[model] metrics` and `[train] metrics` accept, known without Keras."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spleenseg.errors import did_you_mean

if TYPE_CHECKING:
    from spleenseg.config import Config

LOSSES = {
    "binary_crossentropy": "cross-entropy, mean over pixels",
    "dice_loss": "1 - dice_coef (Milletari et al. 2016, arXiv:1606.04797)",
    "iou_loss": "1 - iou_coef (Rahman & Wang 2016)",
    "bce_dice_loss": "(binary_crossentropy + dice_loss) / 2",
    "bce_iou_loss": "(binary_crossentropy + iou_loss) / 2",
    "basnet_hybrid_loss": "(binary_crossentropy + (1 - SSIM) + iou_loss) / 3 (Qin et al. 2019, BASNet)",
    "dice_ce_loss": "cross-entropy + Dice without the reference's smoothing (Isensee et al. 2021, nnU-Net)",
    "focal_loss": "cross-entropy, less for what is right already (Lin et al. 2017, arXiv:1708.02002)",
    "tversky_loss": "1 - TP / (TP + 0.3 FP + 0.7 FN) (Salehi et al. 2017, arXiv:1706.05721)",
    "focal_tversky_loss": "tversky_loss ** 0.75 (Abraham & Khan 2019, arXiv:1810.07842)",
    "lovasz_loss": "the Lovasz extension of IoU (Berman et al. 2018, arXiv:1705.08790)",
    "boundary_loss": "dice_loss + 0.01 x the distance of what is wrong to the edge (Kervadec et al. 2019)",
}

METRICS = {
    "dice_coef": "2 TP / (2 TP + FP + FN)",
    "iou_coef": "TP / (TP + FP + FN)",
    "sensitivity": "TP / (TP + FN)",
    "specificity": "TN / (TN + FP)",
    "precision": "TP / (TP + FP)",
    "binary_accuracy": "share of pixels with the right label",
}

ALWAYS = ("dice_coef", "iou_coef")


def check(config: Config) -> None:
    """Check the loss and metrics a config names.

    Raises:
        UserError: an unknown name, with file, section, key, line and the nearest right spelling.
    """
    if loss_name(config.model.loss) not in LOSSES:
        raise config.error("model", "loss", unknown_loss(config.model.loss))
    for name in config.model.metrics:
        if name not in METRICS:
            raise config.error("model", "metrics", _unknown_metric(name, METRICS))
    for name in config.train.metrics:
        if name.removeprefix("val_") not in (*METRICS, "loss"):
            columns = [column for metric in METRICS for column in (metric, f"val_{metric}")]
            raise config.error("train", "metrics", _unknown_metric(name, columns))


def loss_name(name: str) -> str:
    """Return the full name of a loss that may be written without "_loss" at its end."""
    return f"{name}_loss" if f"{name}_loss" in LOSSES else name


def unknown_loss(name: str) -> str:
    """Say that there is no loss of that name, and which is nearest."""
    spellings = [*LOSSES, *(known.removesuffix("_loss") for known in LOSSES)]
    return f"no loss '{name}'{did_you_mean(name, spellings)}; accepted: {', '.join(LOSSES)}"


def metric_names(config: Config) -> tuple[str, ...]:
    """Return the metrics a training computes: those it is asked for, those it must show, and Dice and IoU."""
    return computed_metrics(config.model.metrics, config.train.metrics)


def computed_metrics(asked: Iterable[str], columns: Iterable[str]) -> tuple[str, ...]:
    """Return the same from `[model] metrics` and `[train] metrics`."""
    shown = (name.removeprefix("val_") for name in columns)
    return tuple(dict.fromkeys((*asked, *(name for name in shown if name != "loss"), *ALWAYS)))


def _unknown_metric(name: str, known: Iterable[str]) -> str:
    return f"no metric '{name}'{did_you_mean(name, known)}; accepted: {', '.join(known)}"
