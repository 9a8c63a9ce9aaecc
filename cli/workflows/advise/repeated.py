"""A question that was asked before: as long as nothing that its answer rests on has changed, that is shown.

An answer rests on the request, the evidence in the database, the files of a data folder and whether data are
at hand, the machine since its start, and the program. A *stamp* is a digest of them all. Making one imports
nothing slow, and neither does showing an answer: no torch, no fit, no search.

Only an answer is kept for which the next call would neither measure nor probe. What is kept lies in a folder
of the home that may be deleted at any time; a file in it that cannot be used counts as missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from advisor.errors import AdvisorError, StorageError
from advisor.files import write_whole
from advisor.plans.dataset import FOLDER_PREFIX
from cli.workflows.advise.probe_options import ProbeOptions
from cli.workflows.answers.advise.advice import Advice, MeasuringEffort
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.answers.stored import answer_of
from cli.workflows.clock import now
from cli.workflows.home import Home
from cli.workflows.reading import state_of_evidence
from cli.workflows.views import Say
from trainer.data.archives import DEBIAN_FASHION_MNIST
from trainer.execution.cluster.address import ClusterAddress

# Number of answers that are kept.
KEPT = 50
# Rooms whose sources make the answer, and packages whose version may change it.
ROOMS = ("advisor", "cli", "db", "profiler", "trainer")
PACKAGES = ("torch", "numpy", "scipy", "optuna", "scikit-learn")
# Variables that change what torch finds or how fast it is.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
BOOT, QUOTA = Path("/proc/sys/kernel/random/boot_id"), Path("/sys/fs/cgroup/cpu.max")


def answered(
    request: RecommendRequest,
    home: Home,
    save: Path | None,
    say: Say,
    probing: ProbeOptions | None = None,
    cluster: ClusterAddress | None = None,
    remeasure: bool = False,
) -> Advice:
    """Return the advice for a request, and store it; see `cli.workflows.advise.recommend.recommend`.

    An answer is read again where that is possible: a plan that is to be saved, probes of a given time, nodes
    of a cluster and new measurements are always asked for anew.
    """
    anew = save is not None or cluster is not None or remeasure
    stamp = None if anew else stamp_of(request, home, probing)
    if stamp is not None and (known := _known(stamp, home)) is not None:
        return _again(*known, home, say)
    from cli.workflows.advise.recommend import recommend

    return recommend(request, home, save, say, probing, cluster, remeasure)


def keep(
    advice: Advice,
    stored_request: dict[str, Any],
    stamp: str | None,
    home: Home,
) -> None:
    """Keep an answer for the next call; a disk that refuses it is no failure.

    Args:
        advice: the answer.
        stored_request: its request, as the database has it.
        stamp: stamp of what it rests on; None where that is unknown.
        home: home of the answers.
    """
    if stamp is None:
        return
    content = {"answered_at": now(), "request": stored_request, "answer": advice.to_json()}
    with suppress(OSError, AdvisorError):
        home.answers.mkdir(parents=True, exist_ok=True)
        write_whole(home.answers / f"{stamp}.json", json.dumps(content).encode())
        by_age = sorted(home.answers.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for old in by_age[:-KEPT]:
            old.unlink(missing_ok=True)


def stamp_of(request: RecommendRequest, home: Home, probing: ProbeOptions | None) -> str | None:
    """Return the stamp of what the answer to a request rests on; None where that cannot be known.

    Probes that take a given time are made anew by every call, so there is no stamp for them.

    Args:
        request: the request.
        home: home of the database and of downloaded data sets.
        probing: options of probing before the answer.
    """
    if probing is not None and (probing.seconds is not None or probing.download):
        return None
    try:
        parts = [
            asdict(request),
            None if probing is None else asdict(probing),
            state_of_evidence(home),
            _state_of_data(request, home),
            BOOT.read_text(),
            QUOTA.read_text() if QUOTA.is_file() else "",
            sorted(os.sched_getaffinity(0)),
            {name: os.environ.get(name) for name in VARIABLES},
            {name: metadata.version(name) for name in PACKAGES},
            [_state_of(file) for file in _sources()],
        ]
    except (OSError, AttributeError, AdvisorError, metadata.PackageNotFoundError):
        # Not Linux, a folder that cannot be read, a damaged database: whoever answers will say what is wrong.
        return None
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]


def _state_of_data(request: RecommendRequest, home: Home) -> list[Any]:
    """Return what tells whether a data set was fetched, and whether the files of a folder have changed."""
    here = [_state_of(folder) for folder in (home.data, DEBIAN_FASHION_MNIST) if folder.is_dir()]
    if not request.dataset.startswith(FOLDER_PREFIX):
        return here
    folder = Path(request.dataset.removeprefix(FOLDER_PREFIX)).expanduser().absolute()
    return [str(folder), [_state_of(file) for file in _files_below(folder)], *here]


def _sources() -> Iterator[Path]:
    root = Path(__file__).parents[3]
    for room in ROOMS:
        yield from (file for file in _files_below(root / room) if file.suffix in (".py", ".json"))


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in a fixed order.

    Raises:
        OSError: a folder cannot be read.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files_below(Path(entry))
        else:
            yield Path(entry)


def _state_of(file: Path) -> tuple[str, int, int]:
    about = file.stat()
    return str(file), about.st_mtime_ns, about.st_size


def _known(stamp: str, home: Home) -> tuple[Advice, dict[str, Any], str] | None:
    """Return a kept answer, its request and when it was made; None if there is none that can be used."""
    try:
        content = json.loads((home.answers / f"{stamp}.json").read_text())
        return answer_of(Advice, content["answer"]), dict(content["request"]), str(content["answered_at"])
    except (OSError, ValueError, LookupError, TypeError, StorageError):
        return None


def _again(advice: Advice, stored_request: dict[str, Any], answered_at: str, home: Home, say: Say) -> Advice:
    """Return an answer as one of now, for which nothing was measured and nothing probed, and store it."""
    from db.session import open_store

    say(f"nothing was measured or trained since {answered_at[:16].replace('T', ' ')} UTC: the answer of then")
    measured = advice.profile.measurements_new + advice.profile.measurements_reused
    effort = MeasuringEffort(seconds=0.0, measurements_new=0, measurements_reused=measured)
    advice = replace(advice, profile=effort, probing=None)
    with open_store(home.database) as store:
        store.add_recommendation(now(), stored_request, advice.to_json())
    return advice
