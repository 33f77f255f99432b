"""The twenty classes of PASCAL VOC and their ontology."""

from __future__ import annotations

VOC_PROMPTS: dict[str, tuple[str, ...]] = {
    "aeroplane": ("aeroplane", "airplane", "airliner", "warplane"),
    "bicycle": ("bicycle", "mountain bike", "bicycle built for two", "tandem"),
    "bird": ("bird",),
    "boat": ("boat", "ship"),
    "bottle": ("bottle",),
    "bus": ("bus", "minibus", "trolleybus"),
    "car": ("car", "cab", "jeep", "convertible", "minivan"),
    "cat": ("cat",),
    "chair": ("chair", "rocking chair", "folding chair"),
    "cow": ("cow", "ox"),
    "diningtable": ("dining table", "table"),
    "dog": ("dog", "terrier", "retriever", "hound", "spaniel"),
    "horse": ("horse", "sorrel"),
    "motorbike": ("motorbike", "motorcycle", "moped", "motor scooter"),
    "person": ("person",),
    "pottedplant": ("potted plant", "flowerpot"),
    "sheep": ("sheep", "ram", "bighorn"),
    "sofa": ("sofa", "couch", "studio couch"),
    "train": ("train", "electric locomotive", "steam locomotive", "passenger car", "freight car"),
    "tvmonitor": ("tv monitor", "television", "monitor", "CRT screen"),
}
"""The ontology of the twenty VOC classes in the order of their ids."""
