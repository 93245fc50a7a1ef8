"""Finds the annotation files of a COCO folder and the folder of each one's pictures, by the usual names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from raynas.data.layout import Split, by_split, part_of_path
from raynas.data.stream.location import Location, locate
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.pictures import spread
from raynas.errors import DataError

# Beside its instances_*.json, COCO's archive has other files about the same pictures.
_OTHER_KINDS = re.compile(r"(captions|person_keypoints|panoptic|stuff|image_info)_")
_SAMPLE = 64
_SHOWN = 3

_ALLOWED = (
    "Allowed: annotations/instances_train*.json and instances_val*.json beside the folders of pictures, "
    "train/_annotations.coco.json and valid/_annotations.coco.json, or data.train_annotations and "
    "data.validation_annotations"
)


@dataclass(frozen=True, slots=True)
class Listing:
    """All files below a location, listed once."""

    location: Location
    files: frozenset[str]

    @staticmethod
    def of(location: Location) -> Listing:
        """Lists a folder at any depth, without hidden files."""
        return Listing(location, frozenset(location.files(("",))))

    def relative(self, file: str) -> PurePosixPath:
        """A file's path below the location."""
        return self.location.relative(file)


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """The annotations of one split, and what is known of where its pictures are.

    Args:
        pictures: the folder that the user gave, or None.
    """

    location: Location
    path: str
    split: Split
    pictures: str | None


def find_annotations(listing: Listing, config: DetectionDataConfig) -> dict[Split, AnnotationFile]:
    """The annotation files of the splits; a split that isn't there is left out.

    Raises:
        DataError: there is none, several would do, or one that was given isn't there.
    """
    settings: Mapping[Split, tuple[str | None, str | None]] = {
        "train": (config.train_annotations, config.train_pictures),
        "validation": (config.validation_annotations, config.validation_pictures),
    }
    by_name = _by_name(listing, [split for split, (given, _) in settings.items() if given is None])
    found: dict[Split, AnnotationFile] = {}
    for split, (given, pictures) in settings.items():
        if given is not None:
            location = _located(listing.location, f"data.{split}_annotations", given)
            if location.is_folder:
                raise DataError(f"data.{split}_annotations = {given!r} is a folder. Give a JSON file.")
            found[split] = AnnotationFile(location, location.path, split, pictures)
        elif split in by_name and not _is_given(by_name[split], found):
            found[split] = AnnotationFile(listing.location, by_name[split], split, pictures)
    if not found:
        raise DataError(f"{listing.location.source!r} has no COCO annotations. {_ALLOWED}.")
    return found


def has_annotations(listing: Listing) -> bool:
    """Whether a folder has a JSON file that by its name or place may hold COCO's annotations."""
    return any(
        PurePosixPath(file).name.startswith(("instances", "_annotations.coco"))
        or PurePosixPath(file).parent.name == "annotations"
        for file in _json_files(listing)
    )


def resolve_pictures(
    listing: Listing, annotations: AnnotationFile, names: Sequence[str]
) -> tuple[str, list[str], list[int]]:
    """Finds the files of a split's pictures.

    Args:
        names: file names as the annotations have them.
    Returns:
        The URI of their file system, the path of each, and the indexes of those that are missing.
    Raises:
        DataError: a name leads out of the folder, or none of the pictures is there.
    """
    clean = [_clean(annotations, name) for name in names]
    if annotations.pictures is not None:
        folder = _located(listing.location, f"data.{annotations.split}_pictures", annotations.pictures)
        listing = Listing.of(folder)
        root = folder.path
    else:
        root = _picture_folder(listing, annotations, clean)
    paths = [f"{root}/{name}" for name in clean]
    missing = [index for index, path in enumerate(paths) if path not in listing.files]
    if names and len(missing) == len(names):
        where = root if annotations.pictures is not None else listing.location.source
        raise DataError(
            f"None of the {len(names):,} pictures of {annotations.path} is there: {names[0]!r} is not in "
            f"{where}.{_in_other_case(listing, clean[0])} Put them beside the annotations, or set "
            f"data.{annotations.split}_pictures to their folder."
        )
    return listing.location.uri, paths, missing


def _in_other_case(listing: Listing, name: str) -> str:
    """A hint where a file differs from its name in upper and lower case alone, which Windows doesn't mind."""
    ending = f"/{name}".lower()
    found = next((file for file in sorted(listing.files) if file.lower().endswith(ending)), None)
    return "" if found is None else f" {found} is there: upper and lower case must be the same."


def missing_pictures(paths: Sequence[str], missing: Sequence[int], ids: Sequence[object], file: str) -> str:
    """What is said of pictures that are missing."""
    shown = ", ".join(f"{paths[index]} (id {ids[index]!r})" for index in missing[:_SHOWN])
    rest = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
    return f"{len(missing):,} of the {len(paths):,} pictures of {file} are missing: {shown}{rest}"


def _json_files(listing: Listing) -> list[str]:
    return sorted(file for file in listing.files if file.lower().endswith(".json"))


def _by_name(listing: Listing, wanted: Sequence[Split]) -> dict[Split, str]:
    files = [file for file in _json_files(listing) if not _OTHER_KINDS.match(PurePosixPath(file).name)]
    usual = [
        file for file in files if PurePosixPath(file).name.startswith(("instances", "_annotations.coco"))
    ]
    splits = by_split(usual or files, listing.relative)
    for split in wanted:
        if len(splits.get(split, ())) > 1:
            names = ", ".join(str(listing.relative(file)) for file in splits[split][:5])
            raise DataError(
                f"{listing.location.source!r} has {len(splits[split])} files that may hold the boxes of the "
                f"{split} split: {names}. Set data.{split}_annotations to one of them."
            )
    return {split: splits[split][0] for split in wanted if splits.get(split)}


def _is_given(path: str, found: Mapping[Split, AnnotationFile]) -> bool:
    return any(annotations.path == path for annotations in found.values())


def _located(location: Location, setting: str, given: str) -> Location:
    return locate(
        _below(location, given),
        name=f"{setting} = ",
        allowed="Allowed: a path relative to the data source, a whole path, s3:// or gs://",
    )


def _below(location: Location, given: str) -> str:
    """A setting as a whole path or URI: relative ones start in the data source."""
    if "://" in given or given.startswith(("/", "~")):
        return given
    # The URI, because `source` has no password any more; it may end with options, such as ?region=eu-west-1.
    path, mark, options = (location.uri or location.path).partition("?" if location.uri else "\0")
    return f"{path.rstrip('/')}/{given}{mark}{options}"


def _clean(annotations: AnnotationFile, name: str) -> str:
    # Programs on Windows write backslashes.
    path = PurePosixPath(name.replace("\\", "/"))
    if "://" in name:
        raise DataError(
            f"{annotations.path} has file_name = {name!r}, which is an address. Allowed is a path relative "
            "to the folder of pictures: download the pictures, and name the files."
        )
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise DataError(
            f"{annotations.path} has file_name = {name!r}, which may lead out of the folder of pictures. "
            "Allowed is a path relative to that folder: correct it."
        )
    return str(path)


def _picture_folder(listing: Listing, annotations: AnnotationFile, names: Sequence[str]) -> str:
    """The folder below which the pictures are, which is the data source itself if none is found."""
    sample = {names[index] for index in spread(len(names), _SAMPLE)} if names else set()
    wanted = {PurePosixPath(name).name for name in sample}
    hits: Counter[str] = Counter()
    for file in listing.files:
        if file.rpartition("/")[2] in wanted:
            hits.update(file[: -len(name) - 1] for name in sample if file.endswith(f"/{name}"))
    ranked = sorted(
        hits, key=lambda folder: (*_preference(listing, annotations, folder), -hits[folder], folder)
    )
    return ranked[0] if ranked else listing.location.path


def _preference(listing: Listing, annotations: AnnotationFile, folder: str) -> tuple[int, int]:
    """Lower is better: a folder named after the file, of the same split, beside the file, of no split."""
    path = PurePosixPath(folder)
    stem = PurePosixPath(annotations.path).stem
    if path.name in (stem, stem.partition("_")[2]):
        return 0, 0
    relative = listing.relative(folder) if path != PurePosixPath(listing.location.path) else PurePosixPath()
    part = part_of_path(relative)
    own = {"train"} if annotations.split == "train" else {"validation", "test"}
    nearness = 0 if path == PurePosixPath(annotations.path).parent else 1
    if part in own:
        return 1, nearness
    return (2, nearness) if part is None else (3, nearness)
