"""What the commands and the Python face assume where nothing is said; each value stands here only."""

from __future__ import annotations

from typing import Literal

SEED = 0
# Designs that a search looks at; docs/search.md says what fewer would find.
TRIALS = 160
OBJECTIVE = "error"
DATASET = "cifar10"
# Members of an ensemble where a command compares one size.
MEMBERS = 4
# Time for new measurements at most: recommending needs all of a step, probing mainly ratios. What more time
# gains: docs/cost-model.md.
RECOMMEND_PROFILE_SECONDS = 33.0
PROBE_PROFILE_SECONDS = 20.0
# Probing before a recommendation: where the data are at hand, and for as long as it is worthwhile.
PROBE: Literal["auto"] = "auto"
# Learning rates, batch and the end of a training: those of docs/recipes.md, or those of the MotherNets paper.
RECIPE: Literal["ours", "published"] = "ours"
# Weight decay of the designs that are compared: the recipe's, or another where it is expected to be better.
TUNE: Literal["auto", "off"] = "auto"
