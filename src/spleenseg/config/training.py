"""[train], [eval] and [test]: the folders of each split, and how training goes on."""

from __future__ import annotations

from typing import Annotated, Any

from spleenseg.config import kinds
from spleenseg.config.model import Anything, Names
from spleenseg.config.section import Count, CountOrNone, Flag, Folder, FolderOrNone, Section, Share, key

_PREVIEW = "`epoch_change_infer` draws whole slices, also large ones"


def _half_patience(before: dict[str, int]) -> int:
    return max(1, before["patience"] // 2)


def _warmup_steps(before: dict[str, Any]) -> int:
    return round(float(before["warmup_epochs"]) * int(before["steps_per_epoch"]))


class Split(Section):
    """The folders of one split, and the batch it is evaluated with."""

    image_datapath: FolderOrNone = key(None, "Folder of the images.")
    mask_datapath: FolderOrNone = key(None, "Folder of the masks, named like the images.")
    batch_size: Count = key(4, "Slices evaluated at once.")


class EvalConfig(Split):
    """The slices that validate each epoch."""


class TestConfig(Split):
    """The slices `evaluate` reads by default."""

    __test__ = False  # a section, not a test class


class TrainConfig(Section):
    """The training slices, and how training goes on."""

    image_datapath: FolderOrNone = key(None, "Folder of the training images.")
    mask_datapath: FolderOrNone = key(None, "Folder of the training masks, named like the images.")
    epochs: Count = key(100, "Most epochs to train.")
    batch_size: Count = key(4, "Slices per step.")
    steps_per_epoch: Count = key(400, "Steps per epoch.")
    patience: Count = key(10, "Stop after this many epochs without a better `best_by`.")
    best_by: Annotated[str, kinds.one_of("val_loss", "val_dice_coef", "last")] = key(
        "val_loss",
        "Figure that says which epoch is the best, when to stop and when to lower the learning rate. With `last` every "
        "epoch is better than the one before, so the end of the training is kept and nothing stops it: for a "
        "`schedule` that ends at 0, and where validation shows patients that train too.",
    )
    metrics: Names = key(("binary_accuracy", "val_binary_accuracy"), "Columns of train_metrics.csv.")
    model_dir: Folder = key("./models", "Where the weights are written.")
    eval_dir: Folder = key("./eval", "Where the curves are written.")
    learning_rate_reducer: Flag = key(False, "Lower the learning rate when `best_by` stalls.")
    reducer_patience: Count = key(_half_patience, "Epochs it may stall; half of `patience` if not given.")
    reducer_factor: Annotated[float, kinds.positive(below=1)] = key(0.1, "Factor it is lowered by.")
    schedule: Annotated[str, kinds.one_of("constant", "poly", "cosine")] = key(
        "constant", "How the learning rate goes from step to step; poly and cosine end at 0 after `epochs` epochs."
    )
    warmup_epochs: Annotated[float, kinds.number(0)] = key(0.0, "Epochs over which the learning rate rises at first.")
    warmup_steps: Annotated[int, kinds.whole(0)] = key(
        _warmup_steps, "The same in steps, which wins; `warmup_epochs` if not given."
    )
    ema: Annotated[float, kinds.fraction_below_one()] = key(
        0.0,
        "Decay of a moving average of the weights; above 0 validation judges the average, and it is what is kept. "
        "0.99 or 0.999 for long trainings.",
    )
    start_share: Annotated[float, kinds.fraction_below_one()] = key(
        0.0,
        "Share of the weights it starts from (`[model] init_from`) in those that validation judges and that are kept: "
        "a network that learns something new forgets less of what it knew. 0: none.",
    )
    foreground: Share = key(
        0.0, "Share of each batch that is drawn from slices with the organ; the rest is drawn from all slices."
    )
    save_weights_only: Flag = key(False, "Keep the weights (.weights.h5) rather than the whole model (.keras).")
    best_model_file: Annotated[str | None, kinds.optional(kinds.file_name("best_model.weights.h5"))] = key(
        None, "Name of the best model's file; None: best_model.weights.h5 or best_model.keras."
    )
    seed: Annotated[int, kinds.whole(0, 2**32 - 1)] = key(137, "Seed of everything random.")
    validation_limit: CountOrNone = key(None, "Validate on only this many slices, for a quick try.")
    checkpoint_every: CountOrNone = key(None, "Steps between checkpoints; None: one at the end of each epoch.")
    deterministic: Flag = key(
        True, "Compute in a fixed order: repeating or resuming a training then gives the same bits on the same machine."
    )
    precision: Annotated[str, kinds.one_of("auto", "float32", "bfloat16", "float16")] = key(
        "float32", "Number format of the network; the loss is always float32."
    )
    devices: Annotated[str, kinds.one_of("all", "one")] = key(
        "all", "Which devices of the machine train: all share each batch (backend JAX; others use one)."
    )
    threads: CountOrNone = key(None, "Threads that prepare batches; None: one per core.")

    epoch_change_infer: Flag = key(False, "Draw predictions of validation slices while training, the worst among them.")
    epoch_change_every: Count = key(1, "Epochs from one such drawing to the next.")
    epoch_change_infer_dir: Folder = key("./eval/epochs", "Folder of those drawings.")
    num_infer_images: Count = key(1, "How many slices each drawing shows beside the worst; the same in every epoch.")
    tensorboard: Flag = key(False, "Log each epoch to eval/tensorboard (extra: tensorboard).")
    mlflow: Flag = key(False, "Log each epoch to mlruns in the run folder, nowhere else (extra: mlflow).")

    create_backup: Flag = key(
        False, "Keep the earlier run.", unused="an earlier run in the folder is always moved aside, never deleted"
    )
    validation_steps: Count = key(800, "Validation batches per epoch.", unused="validation sees every slice once")
    dataset_splitter: Flag = key(
        False, "Split the training folder.", unused="validation reads the [eval] folders, split by patient"
    )
    seedreset_callback: Flag = key(
        False, "Reset the seed each epoch.", unused="every sample follows from seed, epoch and index"
    )
    epoch_change_tiledinfer: Flag = key(False, "Draw tiled predictions after each epoch.", unused=_PREVIEW)
    epoch_change_tiledinfer_dir: Folder = key("./epoch_change_tiledinfer", "Folder of those drawings.", unused=_PREVIEW)
    save_model_file: Anything = key(None, "File of the model.", unused="`best_model_file` is the key that is read")
    show_history: Anything = key(None, "Print the history.", unused="every epoch is shown and kept in history.json")
