"""Where the archives of a TFDS data set come from, and how they are prepared once.

TFDS's own unmodified builders do the work. They are handed the archives of a local
folder when there is one, so that MNIST never needs the network, and the network is
asked for a sign of life before TFDS, which would retry for minutes, relies on it.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import requests
import tensorflow_datasets as tfds
from rich.console import Console

from recipes import emoji  # a builder of our own, which TFDS then knows too

LOCAL_COPIES = {
    "mnist": Path(__file__).parent / "data" / "mnist",
    "fashion_mnist": Path("/usr/share/datasets/fashion-mnist"),
    "emoji": emoji.FONTS,
}

# Modification times, in seconds since 1970, inside Fashion-MNIST's gzip headers.
_FASHION_MNIST_TIMES = {
    "train-images-idx3-ubyte.gz": 1504176606,
    "train-labels-idx1-ubyte.gz": 1504176606,
    "t10k-images-idx3-ubyte.gz": 1504176627,
    "t10k-labels-idx1-ubyte.gz": 1504176627,
}


class DatasetUnavailable(RuntimeError):
    """A data set is neither prepared nor on this machine, and no network answers."""


def find(name: str, data_dir: str | os.PathLike | None = None):
    """Return TFDS's builder for `name`, such as `"mnist"` or `"emnist/letters:3.1.0"`.

    Args:
        name: name of the data set, with an optional config and version.
        data_dir: TFDS's folder of prepared data sets; by default `TFDS_DATA_DIR` or
            `~/tensorflow_datasets`.

    Raises:
        ValueError: if TFDS knows no such data set, config or version.
    """
    known = tfds.list_builders(with_community_datasets=False)
    try:
        return tfds.builder(name, data_dir=data_dir)
    except (AssertionError, ImportError, ValueError) as error:
        base = name.split(":")[0].split("/")[0]
        if base in known:
            raise ValueError(f"{error} Received: source={name!r}") from error
        matches = difflib.get_close_matches(base.lower(), known, n=5)
        advice = f" Did you mean {', '.join(matches)}?" if matches else ""
        raise ValueError(
            "`source` must be a data set of TFDS, 'digits', a folder of images or an "
            f"array.{advice} Received: source={name!r}"
        ) from error


def check_images(builder, image_size: int | None = None) -> None:
    """Raises a ValueError unless `builder`'s images are of one size, or get one."""
    features = builder.info.features
    if "image" not in features:
        raise ValueError(
            "`source` must be a data set with an 'image' feature. Received: "
            f"source={builder.name!r} with the features {', '.join(features)}"
        )
    if image_size is None and None in features["image"].shape:
        raise ValueError(
            "`image_size` must be given where images vary in size. Received: "
            f"image_size=None, source={builder.name!r}"
        )


def prepare(builder, local_dir: str | os.PathLike | None = None):
    """Prepare the data set of `builder` once, and return a builder that can read it.

    TFDS writes into a folder of its own and renames it when it is complete, so neither
    a killed preparation nor a second process at work leaves a half-written data set:
    of two processes the first to finish wins.

    Args:
        builder: a TFDS builder, as `find` returns it.
        local_dir: folder with the archives that TFDS would download; by default the
            repository's copy of MNIST and Debian's copy of Fashion-MNIST.

    Raises:
        DatasetUnavailable: within 10 seconds, without a local copy and a network, or
            where files must be brought by hand; it says which.
        RuntimeError: if the data folder, which it names, is full or read-only, or TFDS
            fails otherwise.
        ValueError: if a local archive is damaged.
    """
    if builder.data_path.exists():
        return builder
    root = Path(builder.data_dir_root)
    folder = local_dir or LOCAL_COPIES.get(builder.name, root / "downloads/manual")
    folder = Path(folder).expanduser()
    archives = {info.filename: info for info in (builder.url_infos or {}).values()}
    is_local = bool(archives) and all(
        name and (folder / name).is_file() for name in archives
    )
    if builder.url_infos and not is_local:
        _require_network(builder, next(iter(builder.url_infos)))
    try:
        (root / "downloads").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=root / "downloads", prefix=f"incomplete.{builder.name}."
        ) as work:
            if is_local:
                folder = _check_archives(archives, folder, Path(work))
            quiet = is_local or not builder.url_infos  # nothing to download
            with _status(builder.name, quiet):
                # TFDS reuses extracted files by name alone, and Fashion-MNIST's names
                # are MNIST's: each preparation extracts into a folder of its own.
                builder.download_and_prepare(
                    download_config=tfds.download.DownloadConfig(
                        manual_dir=folder,
                        extract_dir=Path(work) / "extracted",
                        try_download_gcs=False,
                        force_checksums_validation=is_local,
                    )
                )
    except ValueError:
        raise
    except AssertionError as error:  # TFDS's, of a folder that users are to fill
        raise DatasetUnavailable(f"{builder.name}: {error}") from error
    except Exception as error:  # TFDS raises a full disk as one of many types
        if not builder.data_path.exists():
            raise RuntimeError(
                f"{builder.name} could not be prepared in `{root}`: {error}. If the "
                "folder is read-only or its disk full, name another one as `data_dir` "
                "or in TFDS_DATA_DIR."
            ) from error
    return tfds.builder_from_directory(builder.data_path)


def reachable(url: str, seconds: float = 6.0) -> bool:
    """Whether the host of `url` answers at all, in `seconds` with name look-up."""
    answered = threading.Event()

    def ask():
        with contextlib.suppress(requests.RequestException):
            response = requests.head(url, timeout=seconds)
            if response.status_code < 500:  # otherwise a blocking proxy's
                answered.set()

    # `requests` times neither the name look-up nor all addresses together.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def _require_network(builder, url: str) -> None:
    if reachable(url):
        return
    debian = "install Debian's dataset-fashion-mnist, or "
    raise DatasetUnavailable(
        f"{builder.name} is not prepared in `{builder.data_dir_root}`, {url} does not "
        "answer, and there is no local copy. Load it once with a network, or "
        f"{debian if builder.name == 'fashion_mnist' else ''}pass as `local_dir` a "
        "folder with "
        + ", ".join(str(info.filename) for info in builder.url_infos.values())
    )


def _check_archives(archives: dict, folder: Path, work: Path) -> Path:
    """Return a folder with the official archives, each checked against its sha256."""
    for name, info in archives.items():
        restored = _restore_gzip_header(folder / name, work)
        if _sha256(restored) != info.checksum:
            raise ValueError(
                f"`{folder / name}` is damaged: it is not the archive that TFDS knows, "
                f"with sha256 {info.checksum}. Fetch the file again."
            )
    return restored.parent


def _restore_gzip_header(path: Path, work: Path) -> Path:
    """Return the official form of an archive whose name and time Debian stripped."""
    with path.open("rb") as file:
        header = file.read(10)
        if path.name not in _FASHION_MNIST_TIMES or header[3:4] != b"\0":
            return path
        time = struct.pack("<I", _FASHION_MNIST_TIMES[path.name])
        official = b"\x1f\x8b\x08\x08" + time + b"\0\3" + path.stem.encode() + b"\0"
        restored = work / path.name
        restored.write_bytes(official + file.read())
        return restored


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _status(name: str, quiet: bool) -> Iterator[None]:
    """Show one line while preparing; `quiet` hides TFDS's own progress bars."""
    if not quiet:
        yield
        return
    message = f"Preparing {name} (once, about 30 s) ..."
    tfds.disable_progress_bar()
    try:
        with (
            Console(stderr=True).status(message),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            yield
    finally:
        tfds.enable_progress_bar()
