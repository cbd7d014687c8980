"""The counters of a training: best epoch, early stopping, learning rate, and their way through JSON."""

from __future__ import annotations

import json

from spleenseg.training.state import TrainState


def finish(state: TrainState, *losses: float) -> list[bool]:
    return [state.finish_epoch({"val_loss": loss}) for loss in losses]


def test_the_lowest_validation_loss_is_the_best_epoch() -> None:
    state = TrainState(learning_rate=0.1)
    assert finish(state, 0.5, 0.4, 0.45, 0.4) == [True, True, False, False]
    assert (state.best_epoch, state.best_score, state.epoch) == (1, 0.4, 4)


def test_training_stops_after_patience_epochs_without_a_better_loss() -> None:
    state = TrainState(learning_rate=0.1)
    finish(state, 0.4, 0.5)
    assert not state.should_stop(2)
    finish(state, 0.5)
    assert state.should_stop(2)
    assert not state.should_stop(None)


def test_the_learning_rate_falls_once_per_plateau() -> None:
    state = TrainState(learning_rate=0.1)
    finish(state, 0.4, 0.5, 0.5)
    assert state.reduce_rate_on_plateau(2, 0.1)
    assert state.learning_rate == 0.1 * 0.1
    assert not state.reduce_rate_on_plateau(2, 0.1)
    finish(state, 0.5, 0.5)
    assert state.reduce_rate_on_plateau(2, 0.1)


def test_another_base_rate_keeps_what_reductions_took_away() -> None:
    state = TrainState(learning_rate=0.025, base_rate=0.1)
    state.start_from(0.1)
    assert state.learning_rate == 0.025
    state.start_from(0.2)
    assert (state.learning_rate, state.base_rate) == (0.05, 0.2)
    older = TrainState(learning_rate=0.025)
    older.start_from(0.2)
    assert older.learning_rate == 0.025


def test_an_undefined_validation_loss_is_never_the_best() -> None:
    state = TrainState(learning_rate=0.1)
    assert finish(state, float("nan"), 0.9) == [False, True]


def test_a_state_survives_json_before_and_after_the_first_epoch() -> None:
    for losses in ((), (0.5, 0.3)):
        state = TrainState(learning_rate=0.1)
        finish(state, *losses)
        assert TrainState.from_dict(json.loads(json.dumps(state.as_dict(), allow_nan=False))) == state


def test_the_highest_dice_is_the_best_epoch_where_dice_decides() -> None:
    state = TrainState(learning_rate=0.1)
    figures = [{"val_loss": 0.1, "val_dice_coef": dice} for dice in (0.5, 0.7, 0.6, 0.7)]
    assert [state.finish_epoch(row, "val_dice_coef") for row in figures] == [True, True, False, False]
    assert (state.best_epoch, state.stale_epochs) == (1, 2)


def test_every_epoch_is_the_best_where_the_last_is_kept() -> None:
    state = TrainState(learning_rate=0.1)
    assert [state.finish_epoch({"val_loss": loss}, "last") for loss in (0.1, 0.5, float("nan"))] == [True] * 3
    assert (state.best_epoch, state.stale_epochs) == (2, 0)
