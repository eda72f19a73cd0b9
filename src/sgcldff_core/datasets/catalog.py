"""Public data sets: where they are, what is in them, and what they may be used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CATALOG", "Asset", "PublicDataset"]


@dataclass(frozen=True, slots=True)
class Asset:
    """One file to be downloaded.

    Attributes
    ----------
    url : str
        Its address.
    file : str
        Its name here.
    sha256 : str or None
        Its checksum; None where nobody has published one. Then the checksum of the first
        download is noted and every later one must have it: trust on first use.
    size : int or None
        Its size in bytes, where it is known for certain.
    about : int or None
        A rough size in bytes, for people.
    """

    url: str
    file: str
    sha256: str | None = None
    size: int | None = None
    about: int | None = None

    @property
    def unpacks(self) -> bool:
        """Whether it is an archive that this package opens (RAR is not: Python has no free reader)."""
        return self.file.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz"))


@dataclass(frozen=True, slots=True)
class PublicDataset:
    """A public data set.

    Attributes
    ----------
    title : str
        Its full name.
    contents : str
        What is in it.
    homepage : str
        Where its owners describe it.
    licence : str
        What they allow.
    citation : str
        What to cite.
    assets : tuple of Asset
        What is downloaded; empty where the owners must be asked.
    request : str
        How to ask for it, for a data set that is not given out freely.
    remark : str
        What else one should know.
    most_bytes : int
        Unpacked it is certainly not larger than this.
    """

    title: str
    contents: str
    homepage: str
    licence: str
    citation: str
    assets: tuple[Asset, ...] = ()
    request: str = ""
    remark: str = ""
    most_bytes: int = 2_000_000_000


_RAABIN = "https://dl.raabindata.com/WBC/Cropped_double_labeled/"
_ALL_IDB = (
    "R. Donida Labati, V. Piuri, F. Scotti. ALL-IDB: the acute lymphoblastic leukemia image database for image "
    "processing. IEEE ICIP 2011, 2045-2048"
)
_ALL_IDB_REQUEST = (
    "ALL-IDB is given out on request only: open https://scotti.di.unimi.it/all/, fill in and sign the request, send it "
    "to the address named there, and read the folder that you get with `sgcldff datasets inspect`"
)

CATALOG: Mapping[str, PublicDataset] = MappingProxyType(
    {
        "bccd": PublicDataset(
            title="BCCD",
            contents="364 fields, 640×480; boxes of leukocytes, red cells and platelets (no masks, no classes)",
            homepage="https://github.com/Shenggan/BCCD_Dataset",
            licence="MIT",
            citation="Shenggan. BCCD Dataset. 2017. https://github.com/Shenggan/BCCD_Dataset",
            assets=(
                Asset(
                    # Size and checksum as in TensorFlow Datasets, datasets/bccd/checksums.tsv.
                    "https://github.com/Shenggan/BCCD_Dataset/archive/v1.0.zip",
                    "BCCD_Dataset-1.0.zip",
                    sha256="97af5cc16d14d293fcb3c82a8f66e49b0339a8d0abd8e9508e0feeb4911caa1f",
                    size=7_875_205,
                ),
            ),
        ),
        "lisc": PublicDataset(
            title="LISC, leukocyte images for segmentation and classification",
            contents="400 fields, 720×576, 250 with masks of nucleus and cytoplasm; five types and mixed fields",
            homepage="http://users.cecs.anu.edu.au/~hrezatofighi/Data/Leukocyte%20Data.htm",
            licence="free for research and education; no redistribution, no commercial use; only from its author",
            citation=(
                "S. H. Rezatofighi, H. Soltanian-Zadeh. Automatic recognition of five types of white blood cells in "
                "peripheral blood. Computerized Medical Imaging and Graphics 35 (2011) 333-343"
            ),
            assets=(
                Asset(
                    "http://users.cecs.anu.edu.au/~hrezatofighi/Data/LISC%20Database.zip",
                    "LISC Database.zip",
                ),
            ),
            remark="its address is plain http: anybody on the way could change what comes",
        ),
        "zheng": PublicDataset(
            title="Zheng, white blood cells for fast segmentation (Dataset 1 and 2)",
            contents="300 images about 120×120 and 100 of 300×300; masks of nucleus and cytoplasm, five types",
            homepage="https://github.com/zxaoyou/segmentation_WBC",
            licence="GPL-3.0; images by Jiangxi Tecom Science Corporation and the CellaVision blog: acknowledge them",
            citation=(
                "X. Zheng, Y. Wang, G. Wang, J. Liu. Fast and robust segmentation of white blood cell images by "
                "self-supervised learning. Micron 107 (2018) 55-71"
            ),
            assets=(
                Asset(
                    "https://github.com/zxaoyou/segmentation_WBC/archive/refs/heads/master.zip",
                    "segmentation_WBC-master.zip",
                ),
            ),
            remark="the archive follows the branch of its authors, so its checksum changes when they change anything",
        ),
        "raabin": PublicDataset(
            title="Raabin-WBC, double-labelled cropped cells",
            contents="about 17,000 crops of single cells in class folders (Train, TestA, TestB)",
            homepage="https://raabindata.com/free-data/",
            licence="no formal licence; its owners state that it is free for commercial and non-commercial use",
            citation=(
                "Z. M. Kouzehkanan et al. A large dataset of white blood cells containing cell locations and types, "
                "along with segmented nuclei and cytoplasm. Scientific Reports 12 (2022) 1123"
            ),
            assets=(
                Asset(_RAABIN + "Train.rar", "Train.rar", about=279_000_000),
                Asset(_RAABIN + "TestA.rar", "TestA.rar", about=115_000_000),
                Asset(_RAABIN + "TestB.zip", "TestB.zip", about=104_000_000),
            ),
            remark="Train and TestA are RAR archives: open them with 7-Zip, unar or unrar",
        ),
        "all_idb1": PublicDataset(
            title="ALL-IDB1, acute lymphoblastic leukaemia image database, fields",
            contents="108 fields; centroids of lymphoblasts; 49 of patients with ALL, 59 healthy",
            homepage="https://scotti.di.unimi.it/all/",
            licence="for science, by permission of its owners; not to be passed on",
            citation=_ALL_IDB,
            request=_ALL_IDB_REQUEST,
        ),
        "all_idb2": PublicDataset(
            title="ALL-IDB2, acute lymphoblastic leukaemia image database, cells",
            contents="260 crops about 257×257; lymphoblast or not",
            homepage="https://scotti.di.unimi.it/all/",
            licence="for science, by permission of its owners; not to be passed on",
            citation=_ALL_IDB,
            request=_ALL_IDB_REQUEST,
        ),
    }
)
"""The data sets that can be downloaded, or asked for, by name."""
