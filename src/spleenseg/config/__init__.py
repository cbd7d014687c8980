"""What the user may write: the config file's syntax, its typed schema, and errors that say what to do."""

from __future__ import annotations

from spleenseg.config.augmentation import (
    AugmentorConfig,
    BarrDistortionConfig,
    BrighteningConfig,
    DeformationConfig,
    DistortionConfig,
    GeneratorConfig,
    PincDistortionConfig,
    SharpeningConfig,
)
from spleenseg.config.data import DatasetConfig, MaskConfig
from spleenseg.config.inference import InferConfig, InspectConfig, SegmentationConfig, TiledInferConfig
from spleenseg.config.load import load_config, parse_config
from spleenseg.config.model import ModelConfig
from spleenseg.config.places import Origin
from spleenseg.config.schema import Config, KeyView
from spleenseg.config.section import Effect
from spleenseg.config.starter import new
from spleenseg.config.training import EvalConfig, TestConfig, TrainConfig

__all__ = [
    "AugmentorConfig",
    "BarrDistortionConfig",
    "BrighteningConfig",
    "Config",
    "DatasetConfig",
    "DeformationConfig",
    "DistortionConfig",
    "Effect",
    "EvalConfig",
    "GeneratorConfig",
    "InferConfig",
    "InspectConfig",
    "KeyView",
    "MaskConfig",
    "ModelConfig",
    "Origin",
    "PincDistortionConfig",
    "SegmentationConfig",
    "SharpeningConfig",
    "TestConfig",
    "TiledInferConfig",
    "TrainConfig",
    "load_config",
    "new",
    "parse_config",
]
