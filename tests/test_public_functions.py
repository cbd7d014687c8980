"""Every command is a function of the package: typed, documented, and not hidden by a module of its name."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import spleenseg

FUNCTIONS = sorted(set(spleenseg.__all__) - {"__version__"})


@pytest.fixture(scope="module", autouse=True)
def every_package_imported() -> None:
    for module in pkgutil.iter_modules(spleenseg.__path__):
        import_module(f"spleenseg.{module.name}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_name_is_a_documented_typed_callable(name: str) -> None:
    found = getattr(spleenseg, name)
    assert callable(found)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        parameters = inspect.signature(found).parameters.values()
        assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        spleenseg.trian  # noqa: B018


def test_importing_the_package_and_its_command_line_loads_nothing_heavy() -> None:
    code = "import sys, spleenseg.cli.commands; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"keras", "tensorflow", "numpy", "matplotlib", "cv2", "scipy", "nibabel"} & set(loaded)
