"""Every key the reference's users may have written, with the reference's default."""

from __future__ import annotations

from pathlib import Path

import pytest

from spleenseg.config import Effect, load_config
from spleenseg.config.names import find_key
from spleenseg.config.schema import SECTIONS, KeyView
from spleenseg.config.section import facts

from .conftest import Load

REQUIRED = object()
KEYS: dict[str, dict[str, object]] = {
    "model": {
        "model": "TensorflowUNet",
        "generator": False,
        "image_width": REQUIRED,
        "image_height": REQUIRED,
        "image_channels": REQUIRED,
        "num_classes": REQUIRED,
        "base_filters": REQUIRED,
        "num_layers": REQUIRED,
        "base_kernels": (3, 3),
        "dilation": (1, 1),
        "dropout_seed_fixing": False,
        "normalization": False,
        "input_normalize": True,
        "activation": "relu",
        "final_activation": "sigmoid",
        "clipvalue": 0.2,
        "optimizer": "Adam",
        "show_summary": False,
        "evaluation": "test",
        "filter_num_begin": 128,
        "depth": 4,
        "stack_num_down": 2,
        "stack_num_up": 2,
        "patch_size": (4, 4),
        "shift_window": True,
        "filter_num": (64, 128, 256, 512),
        "embed_dim": 768,
        "num_transformer": 12,
        "filters": (32, 64, 128, 256),
        "max_filter": 512,
        "base_ksize": (3, 3),
    },
    "dataset": {
        "datasetclass": "ImageMaskDataset",
        "color_order": "bgr",
        "image_normalize": False,
        "rgb_mask": False,
        "image_format": "rgb",
    },
    "train": {
        "steps_per_epoch": 400,
        "validation_steps": 800,
        "patience": 10,
        "create_backup": False,
        "learning_rate_reducer": False,
        "reducer_patience": 5,
        "reducer_factor": 0.1,
        "save_weights_only": False,
        "dataset_splitter": False,
        "seedreset_callback": False,
        "epoch_change_infer": False,
        "num_infer_images": 1,
        "seed": 137,
        "validation_limit": None,
        "checkpoint_every": None,
        "precision": "float32",
        "threads": None,
    },
    "eval": {"batch_size": 4},
    "test": {},
    "infer": {"mask_colorize": False, "threshold": 0.5},
    "tiledinfer": {"overlapping": 0, "threshold": 60, "bitwise_blending": True},
    "segmentation": {
        "colorize": False,
        "black": "black",
        "white": "white",
        "blursize": None,
        "overlay_style": "fill",
        "alpha": 0.4,
    },
    "mask": {"blur_size": (3, 3)},
    "generator": {"debug": True, "verbose": False, "augmentation": True},
    "augmentor": {
        "hflip": True,
        "vflip": True,
        "rotation": True,
        "angles": (90, 180, 270),
        "shrinks": (0.8,),
        "shears": (),
        "deformation": False,
        "distortion": False,
        "policy": "reference",
    },
    "compose": {"angle": (-15, 15), "scale": (0.8, 1.25), "slope": (-0.1, 0.1)},
    "intensity": {"hu_shift": (-15, 15), "noise_hu": (0, 20)},
    "deformation": {"alpha": 1300, "sigmoid": 8, "amplitude": None},
    "distortion": {"gaussian_filter_rsigma": 40, "gaussian_filter_sigma": 0.5, "distortions": (0.02,)},
    "sharpening": {"k": 1.0},
    "brightening": {"alpha": 1.2, "beta": 10},
    "barrdistortion": {"radius": 0.5, "amount": 0.5, "centers": ((0.5, 0.5),)},
    "pincdistortion": {"radius": 0.5, "amount": -0.5, "centers": ((0.5, 0.5),)},
    "inspect": {},
}
WITHOUT_STATED_DEFAULT = {
    "model": "dropout_rate learning_rate loss metrics efficientnet num_heads window_size num_mlp image_depth pool"
    " backbone weights freeze_backbone freeze_batch_norm batch_norm mlp_activation show_history diation pretrain"
    " hidden_size grid decoder_channels base_dilation",
    "dataset": "resize_interpolation debug mask_format context",
    "train": "epochs batch_size metrics model_dir eval_dir best_model_file epoch_change_infer_dir image_datapath"
    " mask_datapath save_model_file create_backups",
    "eval": "image_datapath mask_datapath",
    "test": "image_datapath mask_datapath batch_size",
    "infer": "images_dir output_dir merged_dir colorized_dir sharpening",
    "tiledinfer": "images_dir output_dir merged_dir split_size binarize background debug",
    "mask": "blur binarize threshold algorithm mask_colors grayscaling mask_channels classes normalized_threshold",
    "generator": "generated_images_dir generated_masks_dir",
    "augmentor": "sharpening brightening barrdistortion pincdistortion transformer",
    "deformation": "alpah sigmoids",
    "inspect": "model_graph summary",
}


def test_every_section_is_there() -> None:
    assert set(KEYS) == set(SECTIONS)


@pytest.mark.parametrize("section", KEYS)
def test_every_key_of_the_reference_is_known(section: str) -> None:
    for key in [*KEYS[section], *WITHOUT_STATED_DEFAULT.get(section, "").split()]:
        assert isinstance(find_key(section, key), str), key


@pytest.mark.parametrize("section", KEYS)
def test_the_defaults_are_those_of_the_reference(section: str, load: Load) -> None:
    values = getattr(load(), section)
    assert {key: getattr(values, key) for key, default in KEYS[section].items() if default is not REQUIRED} == {
        key: default for key, default in KEYS[section].items() if default is not REQUIRED
    }


def test_every_key_has_a_description_what_it_accepts_and_an_effect_or_the_reason_why_not(spleen: Path) -> None:
    views = load_config(spleen).describe()
    assert len(views) == len({(view.section, view.key) for view in views}) > 150
    for view in views:
        assert view.description.endswith((".", "]")), (view.section, view.key)
        assert view.accepts
        assert bool(view.reason) == (view.effect is not Effect.WORKS)


def test_what_keys_of_other_networks_do_depends_on_the_network(load: Load) -> None:
    def effect(model: str) -> Effect:
        config = load(f'model = "{model}"')
        return next(view.effect for view in config.describe() if view.key == "window_size")

    assert effect("TensorflowUNet") is Effect.OTHER_MODEL
    assert effect("TensorflowSwinUNet") is effect("SwinUNet") is Effect.WORKS


def test_a_network_that_follows_its_paper_says_which_keys_it_does_not_read(load: Load) -> None:
    def view(model: str) -> KeyView:
        return next(view for view in load(f'model = "{model}"').describe() if view.key == "num_layers")

    assert view("TensorflowUNet").effect is Effect.WORKS
    assert view("EfficientUNet").effect is Effect.OTHER_MODEL
    assert view("EfficientUNet").reason == "EfficientUNet follows its paper there"


def test_keys_known_to_do_nothing_are_marked(load: Load) -> None:
    marks = {(view.section, view.key): view.effect for view in load().describe()}
    assert marks["train", "validation_steps"] is Effect.UNUSED
    assert marks["distortion", "gaussian_filter_sigma"] is Effect.UNUSED
    assert marks["train", "epochs"] is Effect.WORKS


def test_no_default_is_refused_by_its_own_kind(load: Load) -> None:
    config = load()
    for name, section in SECTIONS.items():
        for key in section.model_fields:
            kind = next(item for item in section.model_fields[key].metadata if hasattr(item, "accepts"))
            assert kind(getattr(getattr(config, name), key)) == getattr(getattr(config, name), key)
            assert facts(section, key).accepts == kind.accepts
