"""What the backend in use computes on."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import pytest

from spleenseg.models import accelerators
from spleenseg.models.accelerators import device_names


@pytest.mark.parametrize(("cards", "expected"), [(0, ("cpu:0",)), (2, ("gpu:0", "gpu:1"))])
def test_devices_of_pytorch_are_named_though_keras_lists_none(
    monkeypatch: pytest.MonkeyPatch, cards: int, expected: tuple[str, ...]
) -> None:
    cuda = SimpleNamespace(
        is_available=lambda: cards > 0, device_count=lambda: cards, get_device_capability=lambda card: (8, 0)
    )
    mps = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))
    torch = SimpleNamespace(cuda=cuda, version=SimpleNamespace(hip=None), backends=mps)
    monkeypatch.setattr(accelerators, "import_module", lambda name: torch)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert device_names() == expected
