"""A look at a data set, once: the errors of simple classifiers are kept for every later forecast on it.

They foretell the level of a network's errors before anything is trained (`advisor.accuracy.data_level`). The
database has them under the identity of the data, so other contents of a folder are looked at anew.

Who has loaded the images hands them over. Otherwise they are loaded only where that takes seconds: published
data that are on the disk, and folders of few images that need not be scaled. Whatever is larger is looked at
when something loads its images anyway: `advisor data`, a probe or a training.
"""

from __future__ import annotations

from advisor.accuracy.data_level import Look
from advisor.errors import DataError
from advisor.plans.dataset import DatasetFacts
from cli.workflows.clock import now
from cli.workflows.defaults import SEED
from cli.workflows.home import Home
from cli.workflows.views import Say
from db.queries import Store
from trainer.data.loading import Data, load_new_data
from trainer.data.look.classifiers import SimpleErrors, simple_errors
from trainer.data.look.sample import sample_of

# Images that are loaded for a look alone: their pixels in bytes (SVHN has 305 million), and the files of a
# folder, each of which is opened and decoded. Both take about 3 s on two cores.
MOST_BYTES, MOST_FILES = 320 * 2**20, 10_000


def look_once(store: Store, facts: DatasetFacts, home: Home, say: Say, data: Data | None = None) -> None:
    """Count the errors of simple classifiers on a data set and keep them, unless that was done before.

    The seed is the same for all requests, so that a forecast depends on the data and not on who looked first.
    Where the images are not at hand, nothing is done.

    Args:
        store: database that keeps them.
        facts: facts of the data set.
        home: home of downloaded data sets.
        say: receiver of progress.
        data: the images where they are loaded, else None.

    Raises:
        StorageError: the database cannot be read or written.
    """
    if not _has_key(facts) or store.look(facts.key) is not None:
        return
    data = data or _loaded(facts, home, say)
    if data is not None:
        say(f"looking at the data: errors of simple classifiers on {facts.name}")
        store.add_look(look_of(facts, counted_errors(data, SEED), SEED))


def counted_errors(data: Data, seed: int) -> SimpleErrors:
    """Return the errors of simple classifiers on a sample of a data set.

    Args:
        data: the images.
        seed: random seed of the sample and of the classifiers.
    """
    return simple_errors(sample_of(data, seed), seed)


def look_of(facts: DatasetFacts, errors: SimpleErrors, seed: int) -> Look:
    """Return what the database keeps of a look.

    Args:
        facts: facts of the data set.
        errors: errors of the simple classifiers.
        seed: random seed that they were found with.
    """
    return Look(
        data_key=facts.key,
        errors={"neighbours": errors.neighbours, "linear": errors.linear, "patches": errors.patches},
        train_images=errors.train_images,
        seed=seed,
        looked_at=now(),
    )


def _has_key(facts: DatasetFacts) -> bool:
    """Return whether a look at the data would be found again; a plan of an older program has a path only."""
    return (facts.identity is not None or not facts.in_folder) and facts.validation_images > 0


def _loaded(facts: DatasetFacts, home: Home, say: Say) -> Data | None:
    """Return the images of a data set, None where they are not at hand or would take long to load."""
    if not _loads_in_seconds(facts):
        say(f"{facts.name} is not looked at: it takes long to load; advisor data does it")
        return None
    try:
        return load_new_data(facts, home.data)
    except DataError as error:
        # A published data set that was not downloaded is nothing to tell.
        if facts.in_folder:
            say(f"{facts.name} is not looked at: {error}")
        return None


def _loads_in_seconds(facts: DatasetFacts) -> bool:
    task = facts.task
    images = facts.train_images + facts.validation_images + facts.test_images
    if images * task.channels * task.height * task.width > MOST_BYTES:
        return False
    # The files of images that are scaled may be of any size.
    return not facts.in_folder or (images <= MOST_FILES and facts.preparation.resize is None)
