"""Rules that hold between keys: values that are fine alone but impossible together."""

from __future__ import annotations

from collections.abc import Iterator

from spleenseg.config.places import Origin, Problem
from spleenseg.config.schema import Config
from spleenseg.config.section import short_name

_HALVING = {"unet", "attentionunet"}  # halve the image at every level, as often as num_layers says
_WITHOUT_LEVELS = {
    "efficientunet",
    "efficientnetb7unet",
    "swinunet",
    "transunet",
    "sharpunet",
    "u2net",
    "unet3plus",
    "deeplabv3plus",
    "basnet",
    "xceptionlikeunet",
}

_READ_BY_POLICIES = {  # a section, or one key of it: the policies that read it
    ("compose", ""): ("compose", "strong"),
    ("intensity", ""): ("strong",),
    ("augmentor", "hflip"): ("reference", "compose"),
    ("augmentor", "angles"): ("reference",),
}


def problems_between(config: Config) -> Iterator[Problem]:
    """Yield what is impossible in the combination of values."""
    for rule in (_levels_are_given, _size_halves, _dropout_stays_below_one, _channels, _classes, _one_plane, _start):
        for section, key, text in rule(config):
            yield Problem(section, key, config.origin(section, key), text)


def _levels_are_given(config: Config) -> Iterator[tuple[str, str, str]]:
    if short_name(config.model.model) in _WITHOUT_LEVELS:
        return
    for key in ("base_filters", "num_layers"):
        if config.origin("model", key) == Origin("default"):
            yield "model", key, f"is missing; {config.model.model} needs it"


def _size_halves(config: Config) -> Iterator[tuple[str, str, str]]:
    model = config.model
    if short_name(model.model) not in _HALVING:
        return
    step = 2 ** (model.num_layers - 1)
    for key, size in (("image_width", model.image_width), ("image_height", model.image_height)):
        if size % step:
            near = " or ".join(str(good) for good in (size - size % step, size - size % step + step) if good)
            levels = f"{step}, which is 2^(num_layers-1) for num_layers = {model.num_layers}"
            yield "model", key, f"must be divisible by {levels}, is {size}; {near} would do"


def _dropout_stays_below_one(config: Config) -> Iterator[tuple[str, str, str]]:
    model = config.model
    deepest = model.dropout_rate * (model.num_layers - 1)
    if short_name(model.model) == "unet" and deepest >= 1:
        limit = f"{1 / (model.num_layers - 1):.3g}"
        text = f"must be below {limit}, is {model.dropout_rate}: the bottom level drops it times num_layers-1"
        yield "model", "dropout_rate", text


def _channels(config: Config) -> Iterator[tuple[str, str, str]]:
    channels, context = config.model.image_channels, config.dataset.context
    windows = len(config.dataset.windows or (None,))
    needed = windows * (1 + 2 * context)
    if needed > 1 and channels != needed:
        per_window = "1 + 2 x [dataset] context"
        reason = per_window if windows == 1 else f"{windows} [dataset] windows x ({per_window})"
        text = f"must be {needed} ({reason}), is {channels}"
        yield "model", "image_channels", text
    if needed == 1 and channels not in (1, 3):
        yield "model", "image_channels", f"must be 1 (grey) or 3 (colour), is {channels}"


def _classes(config: Config) -> Iterator[tuple[str, str, str]]:
    classes, activation = config.model.num_classes, config.model.final_activation
    right = "softmax" if classes > 1 else "sigmoid"
    if activation != right:
        text = f'must be "{right}" when num_classes is {classes}, is "{activation}"'
        yield "model", "final_activation", text


def _one_plane(config: Config) -> Iterator[tuple[str, str, str]]:
    """What is painted is alike in all channels, as no tissue is in several windows or slices: it gives itself away."""
    augmentor, windows = config.augmentor, config.dataset.windows or ()
    if augmentor.policy not in _READ_BY_POLICIES["compose", ""]:
        return
    for key in ("organ_removal", "lookalikes"):
        if getattr(augmentor, key) and (len(windows) > 1 or config.dataset.context):
            yield "augmentor", key, "must be False with several [dataset] windows or with context: it paints one plane"
    if augmentor.organ_contrast and len({high - low for low, high in windows}) > 1:
        text = "must be False with [dataset] windows of several widths: it adds the same greys to all"
        yield "augmentor", "organ_contrast", text


def _start(config: Config) -> Iterator[tuple[str, str, str]]:
    if config.train.start_share and config.model.init_from is None:
        yield "train", "start_share", "needs [model] init_from: of weights that chance made nothing is worth keeping"


def unread_by_policy(section: str, key: str, policy: str) -> str | None:
    """Return why a key of the augmentation has no effect under a policy; None if it has, or is none of these."""
    readers = _READ_BY_POLICIES.get((section, key)) or _READ_BY_POLICIES.get((section, ""), (policy,))
    return None if policy in readers else f"the policy {policy} does not read it (only {' and '.join(readers)})"
