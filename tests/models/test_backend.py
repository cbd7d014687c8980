"""Which devices the backend is let see."""

from __future__ import annotations

import os

import pytest

from spleenseg.errors import UserError
from spleenseg.models.backend import see_device

CARDS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
STEERING = (*CARDS, "JAX_PLATFORMS", "KERAS_TORCH_DEVICE")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what a test changes."""
    for name in STEERING:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_cpu_hides_every_card_from_every_backend() -> None:
    see_device("cpu")
    assert {name: os.environ[name] for name in STEERING} == {
        "CUDA_VISIBLE_DEVICES": "-1",
        "HIP_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "KERAS_TORCH_DEVICE": "cpu",
    }


def test_nothing_asked_for_changes_nothing() -> None:
    see_device(None)
    assert not set(STEERING) & set(os.environ)


@pytest.mark.parametrize(
    ("seen", "asked", "left"), [(None, "gpu:1", "1"), ("4, 7", "gpu:1", "7"), ("4", "gpu:1", "-1"), ("4", "gpu", "4")]
)
def test_cards_are_counted_among_those_the_environment_shows(
    monkeypatch: pytest.MonkeyPatch, seen: str | None, asked: str, left: str
) -> None:
    """No machine of ours has a card: that there is none is told, with the variable as the backend would read it."""
    if seen is not None:
        for name in CARDS:
            monkeypatch.setenv(name, seen)
    with pytest.raises(UserError, match=f"--device {asked}: the backend sees no such graphics card"):
        see_device(asked)
    assert [os.environ[name] for name in CARDS] == [left, left]


@pytest.mark.parametrize("device", ["tpu", "gpu:", "gpu:-1", "CPU", ""])
def test_another_device_is_an_error_that_names_those_there_are(device: str) -> None:
    with pytest.raises(UserError, match="there are cpu, gpu and gpu:N"):
        see_device(device)
