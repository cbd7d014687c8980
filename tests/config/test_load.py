from __future__ import annotations

import ast
import configparser
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spleenseg.config import Config, ModelConfig, Origin, load_config, parse_config
from spleenseg.config.schema import SECTIONS
from spleenseg.errors import UserError

from .conftest import SMALL, SPLEEN, Load, edited, line_of, refusal, refused


def assert_values_as_written(config: Config, path: Path) -> None:
    """Compare with what Python's own INI reader and literals make of the file."""
    file = configparser.ConfigParser(interpolation=None)
    file.read(path, encoding="utf-8")
    assert sum(len(file[section]) for section in file.sections()) == len(config.origins) > 50
    for section in file.sections():
        for key, text in file[section].items():
            written = ast.literal_eval(text)
            value = getattr(getattr(config, section), "alpha" if key == "alpah" else key)
            if isinstance(value, Path):
                assert value == Path(config.folder, written).resolve()
            else:
                assert value == (tuple(written) if isinstance(written, list) else written), (section, key)


def test_the_references_config_loads_as_it_stands(real_data: Path) -> None:
    path = real_data / "reference" / "train_eval_infer.config"
    config = load_config(path, strict=True)
    assert_values_as_written(config, path)
    assert len(config.warnings) == 1
    assert "[train] validation_steps (line 31): accepted without effect" in config.warnings[0]


def test_a_config_with_the_references_values_loads_as_it_stands(spleen: Path) -> None:
    config = load_config(spleen, strict=True)
    assert_values_as_written(config, spleen)
    assert config.deformation.alpha == 1300
    assert config.origins["deformation", "alpha"] == Origin("file", line_of(SPLEEN, "alpah"), "alpah")
    where = f"[train] validation_steps (line {line_of(SPLEEN, 'validation_steps')})"
    (warning,) = config.warnings
    assert warning.endswith(f": {where}: accepted without effect: validation sees every slice once")


def test_a_config_is_immutable_all_the_way_down(load: Load) -> None:
    config = load()
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 5  # type: ignore[misc]
    assert isinstance(config.augmentor.angles, tuple)


def test_path_folder_and_origins_say_where_values_come_from(load: Load, tmp_path: Path) -> None:
    config = load("[train]", "epochs = 5", overrides=("train.patience=3",))
    assert (config.path, config.folder) == (tmp_path / "c", tmp_path)
    assert config.origin("train", "epochs") == Origin("file", 9)
    assert config.origin("train", "patience") == Origin("--set")
    assert config.origin("train", "seed") == Origin("default")
    assert [str(config.origin("train", key)) for key in ("epochs", "patience", "seed")] == [
        "line 9",
        "--set",
        "default",
    ]


def test_the_error_of_a_key_names_file_section_key_and_line(load: Load) -> None:
    config = load("[deformation]", "alpah = 5", overrides=("model.loss=dice",))
    assert str(config.error("deformation", "alpha", "is odd")) == "c: [deformation] alpah (line 9): is odd"
    assert str(config.error("model", "loss", "is odd")) == "c: [model] loss (--set): is odd"
    assert str(config.error("train", "epochs", "is odd")) == "c: [train] epochs: is odd"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[train]\nepochs = 0", "c: [train] epochs (line 9): must be a whole number from 1 to 1000000, is 0"),
        ("[train]\nepochs = 'ten'", "is 'ten'"),
        ("[train]\nepochs = ten", "c: [train] epochs (line 9): is the bare word ten"),
        ("[train]\nepochs = open('x')", "c: [train] epochs (line 9): is code, which is never run"),
        ("[train]\nepochs =", "c: [train] epochs (line 9): has no value"),
        ("[train]\nepocs = 5", "c: [train] epocs (line 9): unknown key (did you mean 'epochs'?)"),
        ("[trian]\nepochs = 5", "c: [trian] (line 8): unknown section (did you mean [train]?)"),
        ("[train]\nmodel_dir = ''", "must be a path in quotes"),
        ("[train]\nprecision = 'half'", 'must be "auto", "float32", "bfloat16" or "float16"'),
        ("[train]\nreducer_factor = 1.5", "must be a number above 0 and below 1"),
        ("[train]\npatience = 'x'", "[train] patience (line 9): must be a whole number"),
        ("[mask]\nblur_size = (3,4)", "(entry 2 is 4)"),
        ("[mask]\nthreshold = 256", "must be a number from 0 to 255, is 256"),
        ("[mask]\nalgorithm = 'cv2.THRESH_OTSO'", "(did you mean 'THRESH_OTSU'?)"),
        ("[dataset]\nresize_interpolation = 'cv2.INTER_CUBE'", "(did you mean 'INTER_CUBIC'?)"),
        ("[dataset]\ndatasetclass = 'ImageMaskDataSets'", "(did you mean 'ImageMaskDataset'?)"),
        ("[dataset]\ncolor_order = 'rbg'", 'must be "bgr" or "rgb"'),
        ("[augmentor]\nangles = [400]", "each entry a number from -360 to 360"),
        ("[augmentor]\nshrinks = [0]", "(entry 1 is 0)"),
        ("[augmentor]\npolicy = 'strongest'", "(did you mean 'strong'?)"),
        ("[augmentor]\ndistortion = Truw", "(did you mean 'True'?)"),
        ("[segmentation]\nwhite = 'grean'", "(did you mean 'green'?)"),
        ("[segmentation]\noverlay_style = 'filled'", "(did you mean 'fill'?)"),
        ("[deformation]\nalpah = 1\nalpha = 2", "[deformation] alpha (line 10): is the same key as in line 9"),
        ("[barrdistortion]\ncenters = [(0.5, 2)]", "(entry 1 is (0.5, 2))"),
        ("[infer]\nimages_dir = 5", "must be a path in quotes"),
    ],
)
def test_a_mistake_is_one_line_with_file_section_key_line_and_what_is_accepted(
    line: str, problem: str, load: Load
) -> None:
    message = refusal(load, line)
    assert problem in message
    assert message.startswith("c: [")
    assert "\n" not in message


def test_the_first_problem_is_told_and_the_others_counted(load: Load) -> None:
    message = refusal(load, "[train]", "epochs = 0", "patience = 0", "[mask]", "blur = 5")
    assert message.startswith("c: [train] epochs (line 9)")
    assert message.endswith("(and 2 more)")


def test_a_misspelt_required_key_is_told_before_the_missing_one() -> None:
    assert "image_widht (line 2): unknown key (did you mean 'image_width'?)" in refused(
        edited("image_width", "image_widht")
    )


def test_a_key_that_depends_on_a_wrong_one_is_not_blamed(load: Load) -> None:
    assert "more)" not in refusal(load, "[train]", "patience = 0")
    assert "more)" not in refused(edited("num_classes = 1", "num_classes = 0"))


def test_reducer_patience_is_half_of_patience_unless_given(load: Load) -> None:
    assert load("[train]", "patience = 7").train.reducer_patience == 3
    assert load("[train]", "patience = 1").train.reducer_patience == 1
    assert load("[train]", "patience = 7", "reducer_patience = 5").train.reducer_patience == 5


def test_train_metrics_follow_the_models_unless_given(load: Load) -> None:
    assert load().train.metrics == ("binary_accuracy", "val_binary_accuracy")
    assert load('metrics = ["dice_coef"]').train.metrics == ("dice_coef", "val_dice_coef")
    given = load('metrics = ["dice_coef"]', "[train]", 'metrics = ["loss"]')
    assert given.train.metrics == ("loss",)


def test_unknown_keys_are_one_warning_each_and_errors_when_strict(load: Load) -> None:
    lines = ("[train]", "save_waits_only = True", "hflip = code()", "[image]", "gamma = 0")
    assert load(*lines).warnings == (
        "c: [image] (line 11): unknown section, ignored",
        "c: [train] save_waits_only (line 9): unknown key, ignored",
        "c: [train] hflip (line 10): unknown key, ignored; [augmentor] knows it",
    )
    assert "c: [train] save_waits_only (line 9): unknown key" in refusal(load, *lines, strict=True)


def test_keys_set_without_effect_are_one_warning_for_a_reason(load: Load) -> None:
    lines = (
        "[train]",
        "epoch_change_tiledinfer = True",
        "dataset_splitter = True",
        "epoch_change_tiledinfer_dir = 'x'",
    )
    drawings, splitter = load(*lines).warnings
    assert "[train] epoch_change_tiledinfer, epoch_change_tiledinfer_dir (line 9): accepted without effect" in drawings
    assert "[train] dataset_splitter (line 10): accepted without effect" in splitter
    assert load("[train]", "epoch_change_tiledinfer = False").warnings == ()
    (other_model,) = load("depth = 6").warnings
    assert "[model] depth (line 8): accepted without effect: read by SwinUNet only" in other_model


def test_augmentation_keys_that_the_policy_does_not_read_are_said(load: Load) -> None:
    ours = ("[compose]", "angle = (-5, 5)", "[intensity]", "noise_hu = (0, 9)", "[augmentor]")
    lines = (*ours, "angles = [5]", "hflip = True")
    compose, intensity = load(*lines).warnings
    assert "[compose] angle (line 9): accepted without effect: the policy reference does not read it" in compose
    assert "[intensity] noise_hu (line 11): accepted without effect" in intensity
    assert "only strong" in intensity
    angles, mirror = load(*lines, "policy = 'strong'").warnings
    assert "[augmentor] angles (line 13)" in angles
    assert "[augmentor] hflip (line 14)" in mirror


def test_paths_are_absolute_and_relative_to_the_configs_folder(load: Load, tmp_path: Path) -> None:
    config = load("[train]", 'image_datapath = "../data/"', overrides=("infer.output_dir=out",))
    assert config.train.image_datapath == tmp_path.parent / "data"
    assert config.infer.output_dir == tmp_path / "out"
    assert config.train.model_dir == tmp_path / "models"
    assert config.eval.image_datapath is None


def test_values_go_through_json_and_back(spleen: Path) -> None:
    config = load_config(spleen)
    values = json.loads(json.dumps(config.values()))
    assert {name: section.model_validate(values[name]) for name, section in SECTIONS.items()} == {
        name: getattr(config, name) for name in SECTIONS
    }


def test_a_section_can_be_made_without_a_file() -> None:
    model = ModelConfig(image_width=64, image_height=32, image_channels=1, num_classes=1)
    assert (model.base_filters, model.clipvalue, model.activation) == (16, 0.2, "relu")


LINES = st.one_of(
    st.sampled_from([line for line in SPLEEN.splitlines() if line]),
    st.builds(
        "{} = {}".format,
        st.sampled_from(["epochs", "alpah", "white", "metrics", "image_width", "num_layers", "x"]),
        st.text(max_size=20) | st.integers().map(str) | st.floats().map(repr) | st.sampled_from(["[", "'", "()"]),
    ),
    st.text(max_size=30),
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(lines=st.lists(LINES, max_size=30), overrides=st.lists(st.text(max_size=20), max_size=1))
def test_whatever_the_text_nothing_but_a_user_error_is_raised(lines: list[str], overrides: list[str]) -> None:
    for text in ("\n".join(lines), SMALL + "\n".join(lines)):
        with suppress(UserError):
            parse_config(text, "c", overrides)
