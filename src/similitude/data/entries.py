"""Every name that `load` knows: what it holds, its licence, where it may be, how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from similitude.data.cifar import read_cifar
from similitude.data.digits import LICENCE as DIGITS_LICENCE
from similitude.data.digits import read_digits
from similitude.data.folder import read_folder
from similitude.data.idx import read_idx_images
from similitude.data.npz import read_npz
from similitude.data.photos import LICENCE as PHOTOS_LICENCE
from similitude.data.photos import photo_files, read_photos
from similitude.data.sets import ImageSet, TextSet
from similitude.data.text import read_text8, read_text_set, read_wikitext

VARIABLE = "SIMILITUDE_DATA"
"""Environment variable that names a folder with one file or folder per data set."""

SHIPPED_TEXT = Path(__file__).parent / "texts" / "moby-dick.txt"
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")

FASHION = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
DIGIT_NAMES = tuple(map(str, range(10)))


@dataclass(frozen=True)
class Entry:
    """A name that `load` knows.

    Attributes:
        kind: "images", "text" or "few-shot".
        size: What it holds, in words.
        licence: Licence of the data, or what is known of it.
        get: The command that supplies it, or the call that reads the user's own file.
        read: Reads it from a path; None where it comes from a package alone.
        installed: Returns where a package has it, without loading it; None where none has.
        packaged: Reads it from the package; None where `read` does.
        places: Names under which it is looked for in the user's data folder.
        is_format: Whether the name is a file format, which is read from the user's path alone.
        reader: The call that reads it where `load` does not, because it is neither images nor text; else empty.
    """

    kind: str
    size: str
    licence: str
    get: str
    read: Callable[[Path], ImageSet | TextSet] | None = None
    installed: Callable[[], str | None] = lambda: None
    packaged: Callable[[], ImageSet | TextSet] | None = None
    places: tuple[str, ...] = ()
    is_format: bool = False
    reader: str = ""


def _fetch(url: str, then: str) -> str:
    return f"curl -LO {url} && {then}"


def _cifar(classes: int) -> Entry:
    stem, licence = f"cifar-{classes}", "none stated; its authors ask to be cited (Krizhevsky, 2009)"
    archive = f"{stem}-python.tar.gz"
    folders = (f"{stem}-batches-py", f"{stem}-batches-bin", f"{stem}-python", f"{stem}-binary")
    return Entry(
        kind="images",
        size=f"50,000 + 10,000 images 32x32x3, {classes} classes",
        licence=licence,
        get=_fetch(f"https://www.cs.toronto.edu/~kriz/{archive}", f"mv {archive} ${VARIABLE}/"),
        read=partial(read_cifar, classes=classes, licence=licence),
        places=(stem, archive, f"{stem}-binary.tar.gz", *folders),
    )


def _wikitext(name: str, size: str, get: str) -> Entry:
    licence = "CC BY-SA 3.0 and GFDL (Wikipedia)"
    return Entry(
        kind="text",
        size=size,
        licence=licence,
        get=get,
        read=partial(read_wikitext, name=name, licence=licence),
        places=(name, f"{name}-raw"),
    )


def _hutter(name: str, size: str) -> Entry:
    licence = "CC BY-SA 3.0 and GFDL (Wikipedia)"
    return Entry(
        kind="text",
        size=size,
        licence=licence,
        get=_fetch(f"https://mattmahoney.net/dc/{name}.zip", f"unzip {name}.zip -d ${VARIABLE}"),
        read=partial(read_text8, name=name, licence=licence),
        places=(name,),
    )


def _format(
    kind: str, name: str, size: str, example: str, read: Callable[[Path], ImageSet | TextSet]
) -> Entry:
    return Entry(
        kind, size, "yours", f"similitude.data.load('{name}', path='{example}')", read, is_format=True
    )


ENTRIES: dict[str, Entry] = {
    "digits": Entry(
        kind="images",
        size="1,500 + 297 images 8x8x1, 10 classes",
        licence=DIGITS_LICENCE,
        get="pip install scikit-learn",
        installed=lambda: "scikit-learn" if find_spec("sklearn") else None,
        packaged=read_digits,
    ),
    "photos": Entry(
        kind="images",
        size="9,000 + 1,800 patches 32x32x3 of 9 photos",
        licence=PHOTOS_LICENCE,
        get="pip install 'similitude[photos]'",
        installed=lambda: "scikit-image and scikit-learn" if photo_files() else None,
        packaged=read_photos,
    ),
    "fashion-mnist": Entry(
        kind="images",
        size="60,000 + 10,000 images 28x28x1, 10 classes",
        licence="MIT (Zalando)",
        get="apt install dataset-fashion-mnist",
        read=partial(read_idx_images, name="fashion-mnist", classes=FASHION, licence="MIT (Zalando)"),
        installed=lambda: str(DEBIAN_FASHION) if DEBIAN_FASHION.is_dir() else None,
        places=("fashion-mnist", "FashionMNIST"),
    ),
    "mnist": Entry(
        kind="images",
        size="60,000 + 10,000 images 28x28x1, 10 classes",
        licence="CC BY-SA 3.0 (LeCun, Cortes)",
        get=(
            f"curl --remote-name-all --create-dirs --output-dir ${VARIABLE}/mnist "
            "https://ossci-datasets.s3.amazonaws.com/mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz"
        ),
        read=partial(
            read_idx_images, name="mnist", classes=DIGIT_NAMES, licence="CC BY-SA 3.0 (LeCun, Cortes)"
        ),
        places=("mnist", "MNIST"),
    ),
    "cifar-10": _cifar(10),
    "cifar-100": _cifar(100),
    "text": Entry(
        kind="text",
        size="1.2 million characters of English prose (Moby-Dick)",
        licence="public domain (file: CC0)",
        get="comes with similitude",
        read=partial(read_text_set, name="text"),
        installed=lambda: str(SHIPPED_TEXT) if SHIPPED_TEXT.is_file() else None,
        packaged=lambda: read_text_set(SHIPPED_TEXT, "text", licence="public domain (file: CC0)"),
        places=("text", "text.txt"),
    ),
    "wikitext-2": _wikitext(
        "wikitext-2",
        "10.8 + 1.3 million characters of Wikipedia",
        "git clone --depth 1 https://github.com/pytorch/examples && "
        f"cp -r examples/word_language_model/data/wikitext-2 ${VARIABLE}/",
    ),
    "wikitext-103": _wikitext(
        "wikitext-103",
        "540 + 1.3 million characters of Wikipedia",
        _fetch(
            "https://wikitext.smerity.com/wikitext-103-raw-v1.zip",
            f"unzip wikitext-103-raw-v1.zip -d ${VARIABLE}",
        ),
    ),
    "text8": _hutter("text8", "100 million letters and spaces of Wikipedia"),
    "enwik8": _hutter("enwik8", "100 million bytes of a Wikipedia dump"),
    "clues": Entry(
        kind="few-shot",
        size="six tasks of language understanding, 3,000 + 2,020 items",
        licence="MIT (Microsoft); the corpora it was drawn from keep their own terms",
        get=(
            f"similitude data get clues --to ${VARIABLE} --from https://raw.githubusercontent.com/microsoft/CLUES/"
            "995fd5e2e66289eafc87d01fbff052c87876eccb/data/JSON/CLUES-JSON.zip"
        ),
        places=("CLUES-JSON", "CLUES-JSON.zip"),
        reader="similitude.fewshot.reading.read_clues(PATH)",
    ),
    "idx": _format(
        "images",
        "idx",
        "a folder with four IDX files (MNIST, KMNIST, EMNIST, ...)",
        "FOLDER",
        read_idx_images,
    ),
    "npz": _format("images", "npz", "a .npz with x_train, y_train, x_test, y_test", "FILE.npz", read_npz),
    "image-folder": _format(
        "images", "image-folder", "class folders of PNG or JPEG images", "FOLDER", read_folder
    ),
    "text-file": _format(
        "text", "text-file", "a text file, or a folder or pattern of .txt", "FILE.txt", read_text_set
    ),
}
