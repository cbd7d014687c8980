"""Decodes compressed frames in a process of its own, because decoders of damaged data crash and hang.

Run as a script. Each request is a line of JSON (what the header says of the pixels, which frames, the seconds it may
take, the number of bytes) followed by the encapsulated pixels; each answer a line of JSON and the numbers of a frame.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

_SWIFT_ON_DAMAGE = {"1.2.840.10008.1.2.4.80": "gdcm", "1.2.840.10008.1.2.4.81": "gdcm"}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while line := requests.readline():
        asked = json.loads(line)
        pixels = requests.read(asked.pop("bytes"))
        seconds = asked.pop("seconds")
        try:
            decoder = get_decoder(UID(asked.pop("syntax")))
            plugin = _SWIFT_ON_DAMAGE.get(decoder.UID, "")
            indices = asked.pop("indices")
            plugin = plugin if plugin in decoder.available_plugins else ""
            frames = decoder.iter_array(pixels, raw=True, indices=indices, decoding_plugin=plugin, **asked)
            for _ in indices:
                _limit(seconds)
                frame, _about = next(frames)
                _limit(0)
                _answer(answers, np.ascontiguousarray(frame))
        except Exception as error:  # decoders raise whatever they come upon
            _limit(0)
            _say(answers, {"error": type(error).__name__})


def _limit(seconds: float) -> None:
    """Let the system end this process after so much work; 0 lifts the limit."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _answer(answers: BinaryIO, frame: np.ndarray[Any, Any]) -> None:
    _say(answers, {"dtype": frame.dtype.str, "shape": frame.shape, "bytes": frame.nbytes})
    answers.write(frame.data.cast("B"))
    answers.flush()


def _say(answers: BinaryIO, fact: dict[str, Any]) -> None:
    answers.write(json.dumps(fact).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with suppress(ImportError):
        trace = import_module("gdcm").Trace
        trace.DebugOff(), trace.WarningOff(), trace.ErrorOff()
    serve(sys.stdin.buffer, sys.stdout.buffer)
