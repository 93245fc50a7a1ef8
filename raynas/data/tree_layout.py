"""Decides from paths alone which folders are classes and which are parts of a data set.

A folder on this machine, a tar file and an object store are listed each in its own way, and then read here:
equal paths mean equal classes and splits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from raynas.data.layout import SPLITS, LeftOut, Listing, Part, Split, is_junk, part_of_name

_EXACT_TRAIN = frozenset({"train", "training"})
_ASIDE = frozenset(
    {"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "unsup", "extra"}
    | {"annotations", "labels", "mask", "masks", "sample", "samples", "plots"}
)
"""Names of folders beside a train folder whose images are no class."""
NO_CLASS = "in no class folder"


@dataclass(frozen=True, slots=True)
class ClassImage:
    """An image, as a relative path, and the class folder that it lies in."""

    path: str
    class_name: str


@dataclass(frozen=True, slots=True)
class TreeLayout:
    """The images of each split, by class and then by path.

    Args:
        places: name of the folder of each split that has one, such as 'seg_test'.
        empty_classes: class folders for training that hold no image.
        kind: what tells the classes, for the user.
    """

    splits: dict[Split, list[ClassImage]]
    places: dict[Split, str]
    left_out: tuple[LeftOut, ...]
    empty_classes: tuple[str, ...]
    kind: str = "class folders"


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder's images: those that lie directly in it, and those below each of its folders."""

    path: str
    loose: list[str] = field(default_factory=list)
    below: dict[str, list[str]] = field(default_factory=dict)

    @staticmethod
    def of(path: str, images: Iterable[str]) -> _Folder:
        """The folder at `path`, which is empty or ends in a slash; all images must lie in it."""
        folder = _Folder(path)
        for image in images:
            name, slash, _ = image[len(path) :].partition("/")
            (folder.below.setdefault(name, []) if slash else folder.loose).append(image)
        return folder

    def child(self, name: str) -> _Folder:
        return _Folder.of(f"{self.path}{name}/", self.below[name])

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]

    def classed(self) -> list[ClassImage]:
        return [ClassImage(image, name) for name in sorted(self.below) for image in self.below[name]]


def read_tree(listing: Listing) -> TreeLayout:
    """The classes and splits of train/CLASS/... and val/CLASS/..., or else of CLASS/..., all for training.

    Folders around these are passed through: archive/data/CLASS/..., seg_train/seg_train/CLASS/...
    """
    shown = [image for image in listing.files if not is_junk(image)]
    root = _unwrapped(_Folder.of("", shown), passes_held_out=False)
    parts = _parts(root)
    folders = _folders_of_splits(root, parts) if parts else {"train": [root]}
    splits = {split: _joined(folders[split]) for split in SPLITS if split in folders}
    placed = {image.path for images in splits.values() for image in images}
    rest = [image for image in listing.files if image not in placed]
    return TreeLayout(
        splits={split: images for split, images in splits.items() if images},
        places={split: _place(root, folders[split]) for split in splits if parts},
        left_out=_left_out(rest, root, parts),
        empty_classes=_empty(listing.folders, folders["train"]),
    )


def _joined(folders: list[_Folder]) -> list[ClassImage]:
    images = [image for folder in folders for image in folder.classed()]
    # One folder is in order already; its classes are sorted, and its images come in the listing's order.
    return sorted(images, key=lambda image: image.class_name) if len(folders) > 1 else images


def _place(root: _Folder, folders: list[_Folder]) -> str:
    return ", ".join(folder.path[len(root.path) :].partition("/")[0] for folder in folders)


def _unwrapped(folder: _Folder, *, passes_held_out: bool = True, known: Collection[str] = ()) -> _Folder:
    """The folder below `folder` in which there is more than one folder, if single ones lead down to it.

    Args:
        passes_held_out: whether folders named after a test or validation set are passed through.
        known: names of classes, which are not passed through.
    """
    inner = folder
    while len(inner.below) == 1:
        (name,) = inner.below
        if name in known or (not passes_held_out and part_of_name(name) in ("validation", "test")):
            return folder
        inner = inner.child(name)
        if inner.loose and not _parts(inner):
            return folder
    return inner if inner.below else folder


def _parts(folder: _Folder) -> dict[str, Part]:
    """The folders in `folder` that are parts of a data set, by name; empty if its folders are classes."""
    parts: dict[str, Part] = {}
    others: list[str] = []
    for name in folder.below:
        if part := part_of_name(name):
            parts[name] = part
        elif name.lower() not in _ASIDE:
            others.append(name)
    # A folder 'train' that holds only images is itself a class, for example of railway trains.
    trains = [folder.child(name) for name, part in parts.items() if part == "train"]
    trains = [train for train in trains if train.below]
    if not trains:
        return {}
    if set(parts.values()) != {"train"} or _is_no_class(trains, [folder.child(name) for name in others]):
        return parts
    return {}


def _is_no_class(trains: list[_Folder], others: list[_Folder]) -> bool:
    """Whether folders named after training, without a held-out one beside them, are no classes.

    Args:
        others: folders beside them whose names tell nothing.
    """
    is_exact = any(train.name.lower() in _EXACT_TRAIN for train in trains)
    if not others:
        return is_exact or len(trains) == 1
    classes = {name for train in trains for name in _unwrapped(train).below}
    if not is_exact or len(classes) < 2:
        return False
    # Folders that have the same classes are other parts. One without them may be anything, two are classes.
    return sum(not other.below or not classes.issuperset(other.below) for other in others) < 2


def _folders_of_splits(root: _Folder, parts: dict[str, Part]) -> dict[Split, list[_Folder]]:
    """The folders whose own folders are classes; a held-out part without any class of training is none."""
    by_part: dict[Part, list[_Folder]] = {}
    trains = [_unwrapped(root.child(name)) for name, part in parts.items() if part == "train"]
    known = {name for train in trains for name in train.below}
    for name, part in parts.items():
        folder = _unwrapped(root.child(name), known=known)
        # Test sets often have their images in one folder whose name is no class: test/images/*.jpg.
        if part == "test" and not known.intersection(folder.below):
            continue
        if folder.below:
            by_part.setdefault(part, []).append(folder)
    folders: dict[Split, list[_Folder]] = {"train": by_part["train"]}
    held_out = by_part.get("validation") or by_part.get("test")
    if held_out:
        folders["validation"] = held_out
    return folders


def _left_out(rest: list[str], root: _Folder, parts: dict[str, Part]) -> tuple[LeftOut, ...]:
    """The images that are in no split, grouped by reason."""
    groups: dict[str, list[str]] = {}
    for image in rest:
        groups.setdefault(_reason(image, root, parts), []).append(image)
    return tuple(LeftOut(len(images), "image", why, images[0]) for why, images in groups.items())


def _reason(image: str, root: _Folder, parts: dict[str, Part]) -> str:
    if is_junk(image):
        return "in folders that systems make by themselves"
    name, slash, below = image[len(root.path) :].partition("/")
    if not image.startswith(root.path) or not slash:
        return NO_CLASS
    if name not in parts:
        return f"in {name}/, which is no part for training, validation or test"
    if "/" in below and parts[name] == "test":
        return f"in {name}/, a test set that is not needed or whose folders are none of the classes"
    return f"of {name}/ {NO_CLASS}"


def _empty(folders: Iterable[str], trains: Iterable[_Folder]) -> tuple[str, ...]:
    """The folders directly in a train folder that hold no image at any depth."""
    known = {train.path: set(train.below) for train in trains}
    empty: set[str] = set()
    for folder in folders:
        within, _, name = folder.rpartition("/")
        path = f"{within}/" if within else ""
        if path in known and name not in known[path] and not is_junk(name):
            empty.add(name)
    return tuple(sorted(empty))
