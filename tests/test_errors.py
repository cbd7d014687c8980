"""What the program tells a user to install."""

from __future__ import annotations

import re

import pytest

from spleenseg.errors import UserError, install_command
from spleenseg.inference import exported_formats, openvino_network
from spleenseg.models import backend


def test_extras_are_installed_from_the_source_and_never_by_a_name_that_is_another_projects() -> None:
    assert (
        install_command("export", "openvino") == 'pip install ".[export,openvino]" in the folder of spleenseg\'s source'
    )


def test_every_error_that_asks_for_an_extra_gives_that_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(openvino_network, "import_module", missing)
    monkeypatch.setattr(exported_formats, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape(install_command("openvino"))):
        openvino_network.import_without_telemetry()
    with pytest.raises(UserError, match=re.escape(install_command("export", "openvino"))):
        exported_formats.require_format("openvino", int8=False)
    assert install_command("train") in backend._what_to_install(ImportError("No module named 'keras'"))
    assert install_command("jax") in backend.INSTALL["jax"]
