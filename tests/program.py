"""The program in a process of its own, for what a process has once only: its backend, its signals, its end."""

from __future__ import annotations

import sys

PROGRAM = (sys.executable, "-c", "import sys; from spleenseg.cli.app import main; main()")
