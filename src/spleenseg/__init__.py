"""spleenseg: organ segmentation on CT, from one config file.

The main commands of the program are functions here, typed, and silent unless given a reporter:

    import spleenseg
    spleenseg.prepare("Task09_Spleen", "dataset/Spleen")
    spleenseg.train("train_eval_infer.config")

Functions are loaded when first used, so that importing the package stays instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spleenseg.audit.run import check as check
    from spleenseg.config import load_config as load_config
    from spleenseg.datasets.prepare import prepare as prepare
    from spleenseg.datasets.splitting import split as split
    from spleenseg.datasets.statistics import stats as stats
    from spleenseg.demo.run import demo as run_demo  # noqa: F401 (`demo` and `phantom` are packages)
    from spleenseg.doctor.diagnosis import diagnose as diagnose
    from spleenseg.download import download_dataset as download_dataset
    from spleenseg.errors import UserError as UserError
    from spleenseg.evaluation.compare import compare as compare
    from spleenseg.evaluation.evaluate import evaluate as evaluate
    from spleenseg.evaluation.folders import evaluate_folders as evaluate_folders
    from spleenseg.evaluation.report import report as report
    from spleenseg.inference.export import export as export
    from spleenseg.inference.images import infer as infer
    from spleenseg.inference.segment import segment as segment
    from spleenseg.phantom import write_cohort as write_cohort
    from spleenseg.training.train import train as train
    from spleenseg.volumes import read_labels as read_labels
    from spleenseg.volumes import read_volume as read_volume
    from spleenseg.volumes import write_labels as write_labels

__version__ = "0.1.0"

_HOMES = {
    "check": ("spleenseg.audit.run", "check"),
    "load_config": ("spleenseg.config", "load_config"),
    "prepare": ("spleenseg.datasets.prepare", "prepare"),
    "split": ("spleenseg.datasets.splitting", "split"),
    "stats": ("spleenseg.datasets.statistics", "stats"),
    "diagnose": ("spleenseg.doctor.diagnosis", "diagnose"),
    "download_dataset": ("spleenseg.download", "download_dataset"),
    "UserError": ("spleenseg.errors", "UserError"),
    "compare": ("spleenseg.evaluation.compare", "compare"),
    "evaluate": ("spleenseg.evaluation.evaluate", "evaluate"),
    "evaluate_folders": ("spleenseg.evaluation.folders", "evaluate_folders"),
    "report": ("spleenseg.evaluation.report", "report"),
    "export": ("spleenseg.inference.export", "export"),
    "infer": ("spleenseg.inference.images", "infer"),
    "run_demo": ("spleenseg.demo.run", "demo"),
    "segment": ("spleenseg.inference.segment", "segment"),
    "train": ("spleenseg.training.train", "train"),
    "read_labels": ("spleenseg.volumes", "read_labels"),
    "read_volume": ("spleenseg.volumes", "read_volume"),
    "write_cohort": ("spleenseg.phantom", "write_cohort"),
    "write_labels": ("spleenseg.volumes", "write_labels"),
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Load a public function from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'spleenseg' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # so that help() tells of functions that are not loaded yet
