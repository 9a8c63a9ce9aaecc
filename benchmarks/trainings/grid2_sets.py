"""The data sets of `grid2.py`: real images, of which two sets are folders made here.

| name | images |
|---|---|
| digits | those of scikit-learn, 8×8 |
| fashion-28x28-500, -2000, -8000 | the first images of every class of Fashion-MNIST |
| fashion-14x14-4000-noisy | the same, scaled down; 30 % of all labels, of test images too, are drawn anew |
| icons | folder: icons of desktops in colour, 24×24; the class is the kind of icon, with up to four times as many images as another |
| letters | folder: the letters A to J, large or small, from the fonts of a system, grey, 16×16 |

`letters` is set aside: nothing but its own last evaluation reads its trainings.

Icons and fonts come from these packages of Debian 12: tango-icon-theme gnome-icon-theme mate-icon-theme
oxygen-icon-theme faenza-icon-theme elementary-xfce-icon-theme fonts-freefont-ttf fonts-liberation fonts-lato
fonts-roboto-unhinted fonts-open-sans fonts-urw-base35 fonts-dejavu fonts-noto-core fonts-cantarell
fonts-linuxlibertine fonts-comfortaa fonts-firacode fonts-inconsolata fonts-ebgaramond fonts-junicode
fonts-quicksand. `python benchmarks/trainings/grid2_sets.py` makes both folders.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from data_level_sets import data_of as data_of_level
from PIL import Image, ImageDraw, ImageFont

from advisor.plans.dataset import DATASETS, FOLDER_PREFIX, Augmentation, DatasetFacts
from trainer.data.loading import Data, find_facts, load_data

WORK = Path(".advice")
ICONS, FONTS = Path("/usr/share/icons"), Path("/usr/share/fonts")
THEMES = ("Faenza", "Tango", "elementary-xfce", "gnome", "mate", "oxygen")
# Kinds of icons, and the folders of the themes that hold them.
KINDS = {
    "actions": ("actions",),
    "apps": ("apps",),
    "devices": ("devices",),
    "mimetypes": ("mimetypes", "mimes"),
    "places": ("places",),
    "status": ("status",),
}
ICON_SIDE, ICON_SIZES = 24, ("24", "24x24", "22", "22x22")
MOST_ICONS = 900
LETTERS, LETTER_SIDE, MOST_LETTERS = "ABCDEFGHIJ", 16, 400
TEST_SHARE = 0.4
# Folders that are data sets, with the augmentation of their trainings.
FOLDERS = {"icons": Augmentation.CROP_FLIP, "letters": Augmentation.CROP}
# Steps of one size need batches in proportion to the number of images.
BATCHES = {"icons": 32, "letters": 32}


def facts_named(name: str) -> DatasetFacts:
    """Return the facts of a data set; folders are made if they are missing.

    Args:
        name: name of the data set in the table above.
    """
    if name in DATASETS:
        return DATASETS[name]
    if name not in FOLDERS:
        return data_of_level(name).facts
    folder = WORK / name
    if not folder.exists():
        _make(folder, {"icons": _icons, "letters": _letters}[name])
    facts = find_facts(f"{FOLDER_PREFIX}{folder.resolve()}")
    return replace(facts, augmentation=FOLDERS[name], batch=BATCHES[name])


def data_named(name: str) -> Data:
    """Return a data set in memory.

    Args:
        name: name of the data set in the table above.
    """
    if name in DATASETS or name in FOLDERS:
        return load_data(facts_named(name), WORK)
    return data_of_level(name)


def _make(folder: Path, images: Callable[[], Iterator[tuple[str, Image.Image]]]) -> None:
    """Write images into ``train`` and ``test`` of a folder, at random, with a fixed seed.

    Args:
        folder: folder that appears when it is complete.
        images: function that yields pairs of a class and an image.
    """
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    draw = np.random.default_rng(0)
    for label, kept in _by_class(_distinct(images())):
        order = draw.permutation(len(kept))
        for number, place in enumerate(order):
            split = "test" if number < TEST_SHARE * len(kept) else "train"
            path = unfinished / split / label / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            kept[place].save(path)
    unfinished.rename(folder)


def _distinct(images: Iterable[tuple[str, Image.Image]]) -> Iterator[tuple[str, Image.Image]]:
    """Yield images whose pixels did not occur before, in whatever class."""
    seen: set[bytes] = set()
    for label, image in images:
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest not in seen:
            seen.add(digest)
            yield label, image


def _by_class(images: Iterable[tuple[str, Image.Image]]) -> list[tuple[str, list[Image.Image]]]:
    found: dict[str, list[Image.Image]] = {}
    for label, image in images:
        found.setdefault(label, []).append(image)
    return sorted(found.items())


def _icons() -> Iterator[tuple[str, Image.Image]]:
    """Yield icons on white, a random choice where a kind has more than `MOST_ICONS`."""
    draw = np.random.default_rng(1)
    for kind, folders in KINDS.items():
        paths = [
            path
            for theme in THEMES
            for path in sorted((ICONS / theme).rglob("*.png"))
            if set(path.parts) & set(folders) and set(path.parts) & set(ICON_SIZES) and not path.is_symlink()
        ]
        for place in draw.permutation(len(paths))[:MOST_ICONS]:
            yield kind, _on_white(paths[place])


def _on_white(path: Path) -> Image.Image:
    icon = Image.open(path).convert("RGBA")
    icon.thumbnail((ICON_SIDE, ICON_SIDE))
    white = Image.new("RGBA", (ICON_SIDE, ICON_SIDE), "white")
    white.alpha_composite(icon, ((ICON_SIDE - icon.width) // 2, (ICON_SIDE - icon.height) // 2))
    return white.convert("RGB")


def _letters() -> Iterator[tuple[str, Image.Image]]:
    """Yield letters in random fonts; `MOST_LETTERS` of each."""
    draw = np.random.default_rng(2)
    fonts = [path for path in sorted(FONTS.rglob("*.[ot]tf")) if _has_letters(path)]
    for letter in LETTERS:
        glyphs = [(path, glyph) for path in fonts for glyph in (letter, letter.lower())]
        for place in draw.permutation(len(glyphs))[:MOST_LETTERS]:
            path, glyph = glyphs[place]
            yield letter, _drawn(path, glyph, tuple(draw.integers(-1, 2, size=2)))


def _has_letters(path: Path) -> bool:
    """Return whether a font draws all letters, each otherwise than a character that no font has."""
    missing = _drawn(path, "\uffff").tobytes()
    drawn = {_drawn(path, glyph).tobytes() for letter in LETTERS for glyph in (letter, letter.lower())}
    return missing not in drawn and len(drawn) > len(LETTERS)


def _drawn(path: Path, glyph: str, offset: tuple[int, ...] = (0, 0)) -> Image.Image:
    image = Image.new("L", (LETTER_SIDE, LETTER_SIDE), 255)
    font = ImageFont.truetype(str(path), LETTER_SIDE - 3)
    middle = LETTER_SIDE / 2
    ImageDraw.Draw(image).text((middle + offset[0], middle + offset[1]), glyph, 0, font, anchor="mm")
    return image


def main() -> None:
    for name in FOLDERS:
        facts = facts_named(name)
        print(f"{name}: {facts.task.text}, {facts.train_images} training, {facts.test_images} test images")


if __name__ == "__main__":
    main()
