"""Losses against definitions written again in NumPy, in float64 and without sharing a line."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from spleenseg.errors import UserError
from spleenseg.training.losses import build_loss
from spleenseg.training.losses.boundary import with_distances
from spleenseg.training.registry import LOSSES

Array = np.ndarray
COMBINATIONS = {
    "bce_dice_loss": ("binary_crossentropy", "dice_loss"),
    "bce_iou_loss": ("binary_crossentropy", "iou_loss"),
    "basnet_hybrid_loss": ("binary_crossentropy", "ssim", "iou_loss"),
}
BY_AREA = [name for name in LOSSES if name not in ("binary_crossentropy", "focal_loss")]


def _probability(logits: Array, activation: str) -> Array:
    if activation == "sigmoid":
        return 0.5 * (1 + np.tanh(logits / 2))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _cross_entropy(t: Array, logits: Array, activation: str) -> float:
    if activation == "sigmoid":
        return float(np.mean(t * np.logaddexp(0, -logits) + (1 - t) * np.logaddexp(0, logits)))
    return float(np.mean(np.sum(t * (np.logaddexp.reduce(logits, axis=-1, keepdims=True) - logits), axis=-1)))


def _labels(t: Array) -> range:
    return range(1 if t.shape[-1] > 1 else 0, t.shape[-1])


def _overlap_loss(t: Array, p: Array, kind: str) -> float:
    costs = []
    for channel in _labels(t):
        true, found = t[..., channel].ravel(), p[..., channel].ravel()
        both, only_found, only_true = true @ found, (1 - true) @ found, true @ (1 - found)
        index = {
            "dice_loss": (2 * both + 1) / (true.sum() + found.sum() + 1),
            "plain_dice": (2 * both + 1e-5) / (true.sum() + found.sum() + 1e-5),
            "iou_loss": (both + 1) / (true.sum() + found.sum() - both + 1),
            "tversky_loss": (both + 1) / (both + 0.3 * only_found + 0.7 * only_true + 1),
        }
        costs.append((1 - index["tversky_loss"]) ** 0.75 if kind == "focal_tversky_loss" else 1 - index[kind])
    return float(np.mean(costs))


def _focal_loss(t: Array, logits: Array, activation: str) -> float:
    p = _probability(logits, activation)
    if activation == "softmax":
        sure = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        return float(np.mean(np.sum(-t * (1 - p) ** 2 * sure, axis=-1)))
    organ = 0.25 * t * (1 - p) ** 2 * np.logaddexp(0, -logits)
    return float(np.mean(organ + 0.75 * (1 - t) * p**2 * np.logaddexp(0, logits)))


def _lovasz_loss(t: Array, logits: Array, activation: str) -> float:
    """The extension by its definition: the Jaccard loss of ever larger sets of mispredicted pixels."""
    costs = []
    for channel in _labels(t):
        truth = t[..., channel].ravel() >= 0.5
        x = logits[..., channel].ravel()
        found = _probability(logits, activation)[..., channel].ravel()
        errors = abs(truth - found) if activation == "softmax" else np.maximum(0, 1 - np.where(truth, x, -x))
        wrong, before, cost = np.zeros(truth.shape, bool), 0.0, 0.0
        for pixel in np.argsort(-errors, kind="stable"):
            wrong[pixel] = True
            jaccard = wrong.sum() / (truth | wrong).sum()
            cost, before = cost + errors[pixel] * (jaccard - before), jaccard
        costs.append(cost)
    return float(np.mean(costs))


def _boundary_term(t: Array, p: Array) -> float:
    """Distances by looking at every pair of pixels."""
    places = np.argwhere(np.ones(t.shape[1:3]))
    costs = []
    for image, channel in itertools.product(range(len(t)), _labels(t)):
        truth = (t[image, :, :, channel] >= 0.5).ravel()
        found = p[image, :, :, channel].ravel() - t[image, :, :, channel].ravel()
        if truth.all() or not truth.any():
            costs.append(0.0)
            continue
        apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
        nearest = np.where(truth, apart[:, ~truth].min(axis=1), apart[:, truth].min(axis=1)) - 0.5
        costs.append(float(np.mean(np.where(truth, -nearest, nearest) * found)))
    return float(np.mean(costs))


def _ssim_loss(t: Array, p: Array) -> float:
    """Every window by itself: weighted means, then weighted squares of what is left."""
    height, width = (min(11, side) for side in t.shape[1:3])
    bells = [np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / 4.5) for n in (height, width)]
    weights = np.outer(*bells)
    weights /= weights.sum()
    similarities = []
    for image, channel in itertools.product(range(len(t)), range(1 if t.shape[-1] > 1 else 0, t.shape[-1])):
        windows = (sliding_window_view(x[image, :, :, channel], (height, width)) for x in (t, p))
        for a, b in zip(*(window.reshape(-1, height, width) for window in windows), strict=True):
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
            both = (weights * (a - mean_a) * (b - mean_b)).sum()
            brightness = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
            similarities.append(brightness * (2 * both + 9e-4) / (var_a + var_b + 9e-4))
    return 1 - float(np.mean(similarities))


def _expected(name: str, t: Array, logits: Array, activation: str) -> float:
    t, logits = t.astype(np.float64), logits.astype(np.float64)
    if name in COMBINATIONS:
        return float(np.mean([_expected(part, t, logits, activation) for part in COMBINATIONS[name]]))
    if name == "binary_crossentropy":
        return _cross_entropy(t, logits, activation)
    if name == "focal_loss":
        return _focal_loss(t, logits, activation)
    if name == "lovasz_loss":
        return _lovasz_loss(t, logits, activation)
    p = _probability(logits, activation)
    if name == "dice_ce_loss":
        return _cross_entropy(t, logits, activation) + _overlap_loss(t, p, "plain_dice")
    if name == "boundary_loss":
        return _overlap_loss(t, p, "dice_loss") + 0.01 * _boundary_term(t, p)
    return _ssim_loss(t, p) if name == "ssim" else _overlap_loss(t, p, name)


def _targets(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    if kind in ("empty", "all"):
        hard = np.zeros(shape) if kind == "empty" else np.ones(shape)
    elif kind == "soft":
        hard = rng.random(shape)
    else:
        hard = (rng.random(shape) > 0.7).astype(np.float64)
    if shape[-1] == 1:
        return hard.astype(np.float32)
    hard = hard + 1e-9
    return np.asarray(hard / hard.sum(axis=-1, keepdims=True), np.float32)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["empty", "all", "hard", "soft"]),
    channels=st.sampled_from([(1, "sigmoid"), (3, "softmax"), (3, "sigmoid")]),
    scale=st.sampled_from([0.0, 0.1, 3.0, 40.0]),
    size=st.sampled_from([(1, 4, 6), (2, 13, 12), (3, 8, 16)]),
)
def test_a_loss_is_its_definition(
    name: str, seed: int, kind: str, channels: tuple[int, str], scale: float, size: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(seed)
    shape = (*size, channels[0])
    targets = _targets(rng, shape, kind)
    logits = rng.normal(0, 1, shape).astype(np.float32) * np.float32(scale)
    loss = np.asarray(build_loss(name, channels[1])(targets, logits))
    assert loss.shape == ()
    assert loss.dtype == np.float32
    assert float(loss) == pytest.approx(_expected(name, targets, logits, channels[1]), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_perfect_answer_costs_nothing_and_the_opposite_a_lot(name: str, target: float) -> None:
    targets = np.full((1, 16, 16, 1), target, np.float32)
    right = np.where(targets > 0, 30, -30).astype(np.float32)
    assert float(build_loss(name)(targets, right)) == pytest.approx(0, abs=1e-4)
    assert float(build_loss(name)(targets, -right)) > 0.9


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("channels", "activation"), [(1, "sigmoid"), (3, "softmax")])
@pytest.mark.parametrize("size", [0.0, 20.0, 1e4, 1e30])
@pytest.mark.parametrize("kind", ["empty", "all", "hard"])
def test_gradients_stay_finite_at_any_logit(name: str, channels: int, activation: str, size: float, kind: str) -> None:
    rng = np.random.default_rng(0)
    shape = (1, 12, 12, channels)
    logits = tf.constant(rng.choice([-1, 1], shape).astype(np.float32) * np.float32(size))
    targets = _targets(rng, shape, kind)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = build_loss(name, activation)(targets, logits)
    assert np.isfinite(float(loss))
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("channels", "activation"), [(1, "sigmoid"), (3, "softmax")])
def test_gradients_are_those_of_finite_differences(name: str, channels: int, activation: str) -> None:
    rng = np.random.default_rng(1)
    shape = (2, 6, 5, channels)
    targets, logits = _targets(rng, shape, "soft"), rng.normal(0, 2, shape).astype(np.float32)
    logits[0, 0, 0, 0] = 0.0
    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = build_loss(name, activation)(targets, variable)
    gradient = tape.gradient(loss, variable).numpy()
    for place in [(0, 0, 0, 0), (1, 3, 2, channels - 1), (1, 5, 4, 0)]:
        up, down = logits.astype(np.float64), logits.astype(np.float64)
        up[place] += 1e-4
        down[place] -= 1e-4
        slope = (_expected(name, targets, up, activation) - _expected(name, targets, down, activation)) / 2e-4
        assert gradient[place] == pytest.approx(slope, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_float16_logits_of_a_whole_batch_do_not_overflow(name: str) -> None:
    targets = np.ones((2, 256, 256, 1), np.float16)  # 131 072 ones: float16 ends at 65 504
    logits = np.full(targets.shape, 2, np.float16)
    loss = np.asarray(build_loss(name)(targets, logits))
    assert loss.dtype == np.float32
    assert float(loss) == pytest.approx(float(build_loss(name)(targets[:1], logits[:1])), rel=1e-3)


def test_the_coefficient_is_that_of_the_batch_not_the_mean_of_its_images() -> None:
    targets = np.zeros((2, 8, 8, 1), np.float32)
    targets[0] = 1
    logits = np.full(targets.shape, 100, np.float32)
    assert float(build_loss("dice_loss")(targets, logits)) == pytest.approx(1 - (2 * 64 + 1) / (64 + 128 + 1))


@pytest.mark.parametrize("name", BY_AREA)
def test_without_batch_dice_every_image_counts_for_itself(name: str) -> None:
    rng = np.random.default_rng(4)
    targets = np.stack([_targets(rng, (9, 8, 3), kind) for kind in ("hard", "empty", "all")])
    logits = rng.normal(0, 2, targets.shape).astype(np.float32)
    together = float(build_loss(name, "softmax", batch_dice=False)(targets, logits))
    single = [build_loss(name, "softmax")(targets[i : i + 1], logits[i : i + 1]) for i in range(3)]
    assert together == pytest.approx(np.mean([float(loss) for loss in single]), rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_distances_may_come_with_the_targets(channels: int) -> None:
    rng = np.random.default_rng(5)
    targets = _targets(rng, (2, 9, 8, channels), "hard")
    logits = rng.normal(0, 2, targets.shape).astype(np.float32)
    extended = with_distances(targets)
    assert extended.shape == (2, 9, 8, 2 * channels)
    assert extended.dtype == np.float32
    np.testing.assert_array_equal(extended[..., :channels], targets)
    loss = build_loss("boundary_loss")
    assert float(loss(extended, logits)) == float(loss(targets, logits))


def test_a_far_mistake_costs_more_than_a_near_one() -> None:
    targets = np.zeros((1, 32, 32, 1), np.float32)
    targets[0, 4:10, 4:10] = 1
    near, far = (np.where(targets > 0, 30, -30).astype(np.float32) for _ in range(2))
    near[0, 10, 4:10] = 30
    far[0, 30, 4:10] = 30
    assert float(build_loss("dice_loss")(targets, far)) == pytest.approx(float(build_loss("dice_loss")(targets, near)))
    assert float(build_loss("boundary_loss")(targets, far)) > float(build_loss("boundary_loss")(targets, near))


@pytest.mark.parametrize("name", [name for name in LOSSES if name.endswith("_loss")])
def test_the_ending_may_be_left_out(name: str) -> None:
    assert build_loss(name.removesuffix("_loss")).__name__ == name


def test_a_typo_in_a_short_name_is_answered_with_the_short_name() -> None:
    with pytest.raises(UserError, match=r"no loss 'focla' \(did you mean 'focal'\?\)"):
        build_loss("focla")


def test_a_typo_in_a_loss_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"no loss 'dice_los' \(did you mean 'dice_loss'\?\)"):
        build_loss("dice_los")
