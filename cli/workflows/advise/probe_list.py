"""`advisor probe list` and `probe delete`: the probes that a home has.

A probe is a row of the imported trainings, and perhaps a folder of networks. One that `advisor train` went on
from is a run, and no longer in the list. Networks are deleted before their row, so that a deletion which was
refused can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

from advisor.decision.weight_decay import other_than_recipe
from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.plans.dataset import FOLDER_PREFIX, learned_name
from cli.workflows.answers.advise.probing import DeletedProbes, ListedProbe, ProbeList
from cli.workflows.forecast.evidence import sizes_of
from cli.workflows.forecast.probe_source import is_probe, seconds_in
from cli.workflows.home import Home
from cli.workflows.kept_probes import forget, kept_probes
from cli.workflows.names import facts_of
from cli.workflows.views import silent
from db.conversion.reported import StoredTraining
from db.queries import Store
from db.session import open_reader, open_store


def list_probes(home: Home, dataset: str | None) -> ProbeList:
    """Return the finished probes, the newest first.

    Args:
        home: home of the probes.
        dataset: name of a data set, whose probes are listed; None for all.

    Raises:
        UsageError: no data set has that name.
        StorageError: the database cannot be read.
    """
    key = None if dataset is None else _key_of(dataset, home)
    if not home.database.exists():
        return ProbeList(probes=())
    with open_reader(home.database) as store:
        found = [each for each in _stored_probes(store) if key is None or _is_of(each, key)]
        listed = _listed(found, home, store)
    return ProbeList(probes=tuple(reversed(listed)))


def probes_to_delete(
    home: Home, numbers: Sequence[str], dataset: str | None, *, every: bool
) -> list[StoredTraining]:
    """Return the probes that a user names in one of three ways.

    Args:
        home: home of the probes.
        numbers: numbers of probes, empty for none.
        dataset: name of a data set, whose probes are meant; None for none.
        every: whether all probes are meant.

    Raises:
        UsageError: none or several of the three are given, or there is no such probe.
        StorageError: the database cannot be read.
    """
    if bool(numbers) + (dataset is not None) + every != 1:
        raise UsageError(
            "name the probes to delete in one way: by numbers, with --dataset NAME, or with --all"
        )
    key = None if dataset is None else _key_of(dataset, home)
    found: list[StoredTraining] = []
    if home.database.exists():
        with open_reader(home.database) as store:
            found = _stored_probes(store)
    known = {str(each.id) for each in found}
    if missing := next((number for number in numbers if number not in known), None):
        raise UsageError(f"there is no probe {missing}: `advisor probe list` shows those there are")
    if dataset is not None and not any(_is_of(each, key) for each in found):
        raise UsageError(f"there is no probe of {dataset}: `advisor probe list` shows those there are")
    return [each for each in found if every or str(each.id) in numbers or _is_of(each, key)]


def delete_probes(home: Home, probes: Sequence[StoredTraining]) -> DeletedProbes:
    """Delete probes, the evidence that they gave, and their networks.

    Args:
        home: home of the probes.
        probes: probes to delete.

    Raises:
        StorageError: the database or the disk refuses; what is left can be deleted again.
    """
    if probes:
        with open_store(home.database) as store:
            forget(home, [each.training for each in probes])
            store.delete_reported([each.id for each in probes])
    return DeletedProbes(deleted=tuple(each.id for each in probes))


def _key_of(dataset: str, home: Home) -> str:
    """Return the name under which the database keeps trainings on a data set, of files in whatever size."""
    in_folder = dataset.startswith(FOLDER_PREFIX)
    return facts_of(dataset, None, resize=None, skip_damaged=in_folder, home=home, say=silent).key


def _is_of(stored: StoredTraining, key: str | None) -> bool:
    return key is not None and stored.training.dataset.partition(" at ")[0] == key


def _stored_probes(store: Store) -> list[StoredTraining]:
    return [each for each in store.stored_trainings() if is_probe(each.source)]


def _listed(probes: Sequence[StoredTraining], home: Home, store: Store) -> list[ListedProbe]:
    runs, kept = store.runs(), kept_probes(home)
    sizes = sizes_of(runs, store.reported())
    names = {
        data.key: data.name for data in [*(r.plan.dataset for r in runs), *(k.plan.dataset for k in kept)]
    }
    trained = [each.training for each in kept]

    def listed(stored: StoredTraining) -> ListedProbe:
        training = stored.training
        images = sizes[learned_name(training.dataset, training.augmentation)]
        return ListedProbe(
            number=stored.id,
            dataset=names.get(training.dataset, training.dataset),
            design=training.design,
            epochs=training.epochs,
            share_of_images=min(training.train_images / images, 1.0),
            error=training.error,
            finished_at=stored.imported_at,
            seconds=seconds_in(stored.source),
            networks_kept=training in trained,
            tuned_weight_decay=other_than_recipe(parse_design(training.design), training.weight_decay),
        )

    return [listed(each) for each in probes]
