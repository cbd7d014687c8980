"""What the backend computes on: the processor, an NVIDIA card and how new it is, or something else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any, Literal

Kind = Literal["processor", "nvidia", "other"]
Capability = tuple[int, int]


def accelerator() -> tuple[Kind, Capability | None]:
    """Return what the backend in use computes on, and an NVIDIA card's compute capability; of several the least.

    An accelerator that does not tell its capability as NVIDIA's cards do is "other".
    """
    import keras

    return _least(_TOLD[keras.backend.backend()]())


def device_names() -> tuple[str, ...]:
    """Return what the backend in use may compute on, as Keras names it: its accelerators, else the processor.

    Keras lists no devices of PyTorch's.
    """
    import keras

    if keras.backend.backend() != "torch":
        return tuple(keras.distribution.list_devices())
    return tuple(f"gpu:{number}" for number in range(len(_torch()))) or ("cpu:0",)


def capability_of(told: Any) -> Capability | None:
    """Return a compute capability as (major, minor) from what a backend tells: (8, 0) or "8.0"; None from else."""
    if isinstance(told, tuple | list) and len(told) == 2:
        return int(told[0]), int(told[1])
    match = re.fullmatch(r"(\d+)\.(\d+)", told) if isinstance(told, str) else None
    return (int(match[1]), int(match[2])) if match else None


def _least(told: Iterable[Any]) -> tuple[Kind, Capability | None]:
    """Judge what was told of each accelerator; nothing is there but the processor if there is none."""
    found = [capability_of(one) for one in told]
    if not found:
        return "processor", None
    known = [capability for capability in found if capability is not None]
    return ("nvidia", min(known)) if len(known) == len(found) else ("other", None)


def _tensorflow() -> list[Any]:
    config = import_module("tensorflow").config
    cards = [device for device in config.list_physical_devices() if device.device_type not in ("CPU", "XLA_CPU")]
    details = [config.experimental.get_device_details(card) if card.device_type == "GPU" else {} for card in cards]
    return [detail.get("compute_capability") for detail in details]


def _jax() -> list[Any]:
    devices = [device for device in import_module("jax").devices() if device.platform != "cpu"]
    return [getattr(device, "compute_capability", None) for device in devices]


def _torch() -> list[Any]:
    torch = import_module("torch")
    if torch.cuda.is_available():
        cards = range(torch.cuda.device_count())
        return [None if torch.version.hip else torch.cuda.get_device_capability(card) for card in cards]
    return [None] if torch.backends.mps.is_available() else []


_TOLD = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
