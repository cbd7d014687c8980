"""Write what `spleenseg models list` shows without a config: `python docs/generate_model_figures.py`."""

from __future__ import annotations

from pathlib import Path

from spleenseg.files import write_json
from spleenseg.models import inspect

FILE = Path(inspect.__file__).with_name(inspect.USUAL_FIGURES)

if __name__ == "__main__":
    write_json(FILE, [figures.row() for figures in inspect.list_networks(inspect.usual_settings())])
