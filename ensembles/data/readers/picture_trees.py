"""Which picture files there are below a folder, of which class and in which part; none is dropped without a word."""

from collections.abc import Callable
from pathlib import Path

from widesym.ensembles.data.dataset import DataError
from widesym.ensembles.data.readers.files import contents
from widesym.ensembles.data.readers.picture_files import OTHER_SUFFIXES, SUFFIXES

PARTS = {  # by the names that folders of them have
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}

Classes = dict[str, list[Path]]  # picture files by the name of their class


def pictures_by_part(path: Path) -> dict[str, Classes]:
    """The picture files of each class, by the name of the folder of their part: those that train, then those that test.
    Of `train`, `val` and `test`, `val` is left out; folders of classes alone are one part, named "".

    Raises DataError where there are no pictures, or it is not clear which class or part some are of.
    """
    parts = part_folders(path)
    if not parts:
        return {"": pictures_by_class(path)}
    check_none_beside(path)
    found = {
        folder.name: pictures_by_class(folder)
        for folder in (parts["training"], parts["test"] if "test" in parts else parts["validation"])
    }
    train, test = found.values()
    if differing := sorted(set(train) ^ set(test)):
        raise DataError(
            f"{path}: the parts have other classes than each other; {', '.join(differing)} are in one of them alone"
        )
    return found


def part_folders(path: Path) -> dict[str, Path]:
    """The folders of training, test and validation pictures by these names; none where there are folders of classes."""
    folders = folders_in(path)
    if not folders or not all(folder.name.lower() in PARTS for folder in folders):
        return {}
    found = {PARTS[folder.name.lower()]: folder for folder in folders}
    names = ", ".join(folder.name for folder in folders)
    if len(found) < len(folders) or "training" not in found or len(found) == 1:
        raise DataError(
            f"{path} has the folders {names}: one must be `train`, and one `test` or `val`; to hold some pictures of "
            f"{folders[0].name} out at random give {folders[0]}"
        )
    for folder in folders:
        if files := visible_files(folder, is_picture):
            raise DataError(
                f"{path} has the folders {names}, which are read as parts, but {folder} has pictures outside folders "
                f"of classes ({some_names(files)}); if these are classes, give them other names"
            )
    return found


def pictures_by_class(path: Path) -> Classes:
    """The picture files of each class folder; raises DataError where there are none, or some are elsewhere."""
    folders = folders_in(path)
    if not folders:
        raise DataError(f"{path} has no class folders; {contents(path)}")
    check_none_beside(path)
    return {folder.name: pictures_in(folder) for folder in folders}


def check_none_beside(path: Path) -> None:
    """Raise DataError for pictures in a folder of folders."""
    if beside := visible_files(path, is_picture):
        raise DataError(
            f"{path} has pictures beside its folders ({some_names(beside)}); each must be in that of its class"
        )


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a class folder, by name; raises DataError where there are none, or others besides."""
    if others := visible_files(folder, lambda file: file.suffix.lower() in OTHER_SUFFIXES):
        raise DataError(
            f"{folder} has pictures of other formats ({some_names(others)}), expected {', '.join(SUFFIXES)}; convert "
            "them, or move them elsewhere"
        )
    for inner in folders_in(folder):
        if nested := [file for file in sorted(inner.rglob("*")) if is_picture(file)]:
            raise DataError(
                f"{folder} has pictures in folders of its own ({some_names(nested, folder)}); classes cannot be "
                f"nested: move them into {folder}, or give a folder whose folders are the classes"
            )
    files = visible_files(folder, lambda file: file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder} has no pictures ({', '.join(SUFFIXES)}); {contents(folder)}")
    return files


def holds_pictures(path: Path) -> bool:
    """Whether a folder has pictures in folders of its own, or in folders of these."""
    return any(is_picture(file) for depth in ("*/*", "*/*/*") for file in path.glob(depth))


def folders_in(path: Path) -> list[Path]:
    """The folders below a path that are not hidden, by name."""
    return sorted(entry for entry in path.glob("[!.]*") if entry.is_dir())


def visible_files(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """The files of a folder that are wanted and not hidden, by name; links that lead nowhere among them."""
    return sorted(file for file in folder.glob("[!.]*") if wanted(file) and not file.is_dir())


def is_picture(file: Path) -> bool:
    """Whether a file's name is one of a picture, of a format that is read or another."""
    return file.suffix.lower() in SUFFIXES + OTHER_SUFFIXES and not file.name.startswith(".")


def some_names(files: list[Path], below: Path | None = None, most: int = 3) -> str:
    """The first few names, from `below` on."""
    names = [str(file.relative_to(below)) if below else file.name for file in files[:most]]
    return ", ".join(names) + (f", … ({len(files)} in all)" if len(files) > most else "")
