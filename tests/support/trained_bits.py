"""What a training has left behind, apart from times: the same for the same plan, however it was executed."""

from __future__ import annotations

import pytest

from db.session import open_store
from trainer.training.checkpoint import load_checkpoint


def outcome(home):
    """Status, figures, epochs, steps and weights of the first run of a home."""
    with open_store(home.database) as store:
        run = store.run(1)
        epochs = {(e.step, e.epoch): (e.train_loss, e.validation_probabilities) for e in store.epochs(1)}
        steps = {(s.step, s.status, s.hatch_difference) for s in store.steps(1)}
        classes = store.validation_classes(1).tolist()
    names = sorted(path.name for path in (home.path / "runs/0001/networks").iterdir())
    found = [load_checkpoint(home.path / "runs/0001/networks" / name, pytest.fail) for name in names]
    weights = [{key: tensor.tolist() for key, tensor in each.weights.items()} for each in found]
    return run.status, run.message, run.test, epochs, steps, classes, names, weights
