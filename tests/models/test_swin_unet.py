"""SwinUNet: the contract, and its windows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.models import registry
from spleenseg.models.build import build_model
from spleenseg.models.swin_levels import swin_levels
from spleenseg.models.window_attention import WindowAttention, barred, relative_positions

MakeConfig = Callable[..., Config]
TINY = {
    "filter_num_begin": 96,
    "num_heads": [3, 6, 12, 24],
    "window_size": 7,
    "num_mlp": [384, 768, 1536, 3072],
    "image_width": 224,
    "image_height": 224,
    "image_channels": 3,
}


class TestTensorflowSwinUNet(Contract):
    name = "TensorflowSwinUNet"
    narrow: ClassVar[dict[str, object]] = {
        "filter_num_begin": 8,
        "depth": 3,
        "patch_size": 2,
        "num_heads": 2,
        "window_size": 4,
        "num_mlp": 8,
    }
    knobs: ClassVar[dict[str, object]] = {
        "filter_num_begin": 16,
        "depth": 2,
        "stack_num_down": 1,
        "stack_num_up": 1,
        "patch_size": (2, 4),
        "num_heads": [2, 4, 4],
        "window_size": [4, 2, 2],
        "num_mlp": 6,
        "shift_window": False,
    }
    overfit: ClassVar[dict[str, object]] = {"filter_num_begin": 32, "num_mlp": 64, "num_heads": 4}

    def parameters(self, config: Config) -> int:
        """Attention 4 C^2 and its biases, perceptrons 2 C M, a table of relative positions; merges and expansions."""
        model = config.model
        levels = swin_levels(model)
        height, width = 2 * (model.patch_size,) if isinstance(model.patch_size, int) else model.patch_size
        first = levels[0].filters

        def stack(level: int, count: int) -> int:
            one = levels[level]
            c, m, table = one.filters, one.nodes, (2 * one.window - 1) ** 2 * one.heads
            return count * (4 * c * c + 4 * c + table + 2 * c * m + m + c + 4 * c)

        total = height * width * model.image_channels * first + first + 2 * first
        for level, (fine, coarse) in enumerate(pairwise([one.filters for one in levels])):
            total += stack(level, model.stack_num_down) + stack(level, model.stack_num_up)
            total += 4 * fine * coarse + 8 * fine
            total += coarse * 4 * fine + 2 * fine + 2 * fine * fine + fine
        total += stack(-1, model.stack_num_down) + 2 * levels[-1].filters
        total += 2 * first + first * height * width * first + 2 * first
        return total + (first + 1) * model.num_classes


def test_the_paper_s_tiny_network_has_the_paper_s_number_of_parameters(make_config: MakeConfig) -> None:
    assert build_model(make_config(model="SwinUNet", **TINY).model).count_params() / 1e6 == pytest.approx(
        27.17, abs=0.02
    )


def test_the_usual_settings_are_the_reference_s(make_config: MakeConfig) -> None:
    found = swin_levels(make_config(model="SwinUNet").model)
    assert [level.filters for level in found] == [128, 256, 512, 1024]
    assert [level.heads for level in found] == [4, 8, 8, 8]
    assert [level.window for level in found] == [4, 2, 2, 2]
    assert {level.nodes for level in found} == {512}


def test_a_window_larger_than_the_grid_shrinks(make_config: MakeConfig) -> None:
    large = {**TestTensorflowSwinUNet.narrow, "model": "SwinUNet", "window_size": 7, "patch_size": 4}
    model = build_model(make_config(**large).model)
    output = np.asarray(model(np.full((1, 32, 32, 1), 99, np.float32)))
    assert model.get_layer("bottom_block1_attention").input.shape[1:3] == (2, 2)
    assert np.isfinite(output).all()


def _layer(side: int, window: int, shifted: bool) -> WindowAttention:
    keras.utils.set_random_seed(1)
    layer = WindowAttention(2, window, shifted)
    layer.build((None, side, side, 4))
    for weight in layer.weights:
        weight.assign(np.random.default_rng(3).normal(0, 0.5, weight.shape))
    return layer


def _seen(layer: WindowAttention, side: int, place: tuple[int, int]) -> np.ndarray:
    """Return which tokens change when the one at `place` does."""
    tokens = np.random.default_rng(5).normal(size=(1, side, side, 4)).astype(np.float32)
    changed = tokens.copy()
    changed[0, place[0], place[1]] += 3
    difference = np.asarray(layer(changed)) - np.asarray(layer(tokens))
    return np.abs(difference[0]).max(axis=-1) > 1e-6


def test_tokens_see_their_window_and_no_further() -> None:
    seen = _seen(_layer(8, 4, shifted=False), 8, (1, 6))
    wanted = np.zeros((8, 8), bool)
    wanted[:4, 4:] = True
    np.testing.assert_array_equal(seen, wanted)


@pytest.mark.parametrize(
    ("place", "rows", "columns"), [((3, 3), (2, 6), (2, 6)), ((0, 0), (0, 2), (0, 2)), ((7, 3), (6, 8), (2, 6))]
)
def test_shifted_windows_lie_across_the_others_and_never_join_opposite_edges(
    place: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    seen = _seen(_layer(8, 4, shifted=True), 8, place)
    wanted = np.zeros((8, 8), bool)
    wanted[slice(*rows), slice(*columns)] = True
    np.testing.assert_array_equal(seen, wanted)


@given(side=st.integers(1, 11), window=st.integers(1, 6), shifted=st.booleans())
@settings(max_examples=20, deadline=None)
def test_attention_equals_its_definition_token_by_token(side: int, window: int, shifted: bool) -> None:
    layer = _layer(side, window, shifted)
    tokens = np.random.default_rng(8).normal(size=(1, side, side, 4)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(tokens))[0], _definition(layer, tokens[0], window, shifted), atol=1e-4)


def _definition(layer: WindowAttention, x: np.ndarray, window: int, shifted: bool) -> np.ndarray:
    """Attend from every token to those of its own window, found by dividing its place."""
    side, heads, per_head = x.shape[0], 2, 2
    size = min(window, side)
    shift = size // 2 if shifted and side > size else 0
    of = {(y, x): ((y - shift) // size, (x - shift) // size) for y in range(side) for x in range(side)}
    weights = {weight.path.split("/", 1)[-1]: np.asarray(weight, np.float64) for weight in layer.weights}
    qkv = x @ weights["qkv/kernel"] + weights["qkv/bias"]
    q, k, v = (part.reshape(side, side, heads, per_head) for part in np.split(qkv, 3, axis=-1))
    result = np.zeros((side, side, heads, per_head))
    for place, its in of.items():
        others = [other for other, theirs in of.items() if theirs == its]
        for head in range(heads):
            scores = np.array(
                [
                    q[place][head] @ k[other][head] / per_head**0.5
                    + weights["bias"][place[0] - other[0] + window - 1, place[1] - other[1] + window - 1, head]
                    for other in others
                ]
            )
            share = np.exp(scores - scores.max())
            result[place][head] = sum(s * v[other][head] for s, other in zip(share / share.sum(), others, strict=True))
    return result.reshape(side, side, 4) @ weights["out/kernel"] + weights["out/bias"]


def test_the_table_of_positions_serves_smaller_windows_too() -> None:
    whole, part = relative_positions(4, 4, 4), relative_positions(2, 3, 4)
    np.testing.assert_array_equal(part, whole.reshape(4, 4, 4, 4)[:2, :3, :2, :3].reshape(6, 6))
    assert (whole.min(), whole.max()) == (0, 48)


def test_nothing_is_barred_where_windows_fill_the_grid_unshifted() -> None:
    assert barred((8, 8), [8, 8], [4, 4], [0, 0]) is None


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"num_heads": [4, 8]}, r"num_heads \(line \d+\): must be a number or have one per level, 4 \(depth\), has 2"),
        ({"window_size": [4, 4, 4]}, r"window_size \(line \d+\): must be a number or have one per level"),
        ({"num_heads": 7}, r"num_heads \(line \d+\): cannot split the 128 filters of level 0 into 7 heads"),
        ({"patch_size": [4, 4, 4]}, r"patch_size \(line \d+\): must be a number or \(height, width\), has 3"),
        ({"image_width": 48}, r"image_width \(line \d+\): 48 is not divisible by 32"),
    ],
)
def test_impossible_settings_are_refused_with_their_line(
    make_config: MakeConfig, keys: dict[str, object], problem: str
) -> None:
    config = make_config(**{"model": "SwinUNet", **keys})
    with pytest.raises(UserError, match=problem):
        registry.check(config)


def test_more_numbers_than_levels_are_those_of_the_first_levels(make_config: MakeConfig) -> None:
    found = swin_levels(make_config(model="SwinUNet", depth=2, num_heads=[2, 4, 8, 16]).model)
    assert [level.heads for level in found] == [2, 4]
