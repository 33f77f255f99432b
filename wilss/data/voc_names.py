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

VOC_SYNONYMS: dict[str, tuple[str, ...]] = {
    "aeroplane": ("aircraft", "jet plane", "propeller plane"),
    "bicycle": ("bike", "racing bike"),
    "bird": ("bird avian", "songbird", "water bird"),
    "boat": ("sailing boat", "rowing boat", "motor boat", "ferry"),
    "bottle": ("glass bottle", "plastic bottle"),
    "bus": ("double-decker bus", "city bus"),
    "car": ("automobile", "sedan", "hatchback"),
    "cat": ("kitten", "cat face"),
    "chair": ("chair seat", "armchair", "office chair", "wooden chair"),
    "cow": ("cattle", "calf"),
    "diningtable": ("kitchen table", "table with dishes", "restaurant table"),
    "dog": ("young dog", "dog face"),
    "horse": ("pony", "foal"),
    "motorbike": ("motor bike", "dirt bike"),
    "person": ("person with clothes", "people", "human", "man", "woman", "child"),
    "pottedplant": ("houseplant", "plant in a pot", "flowers in a pot"),
    "sheep": ("lamb", "ewe"),
    "sofa": ("settee", "loveseat"),
    "train": ("locomotive", "railway carriage", "subway train"),
    "tvmonitor": ("tv monitor screen", "computer monitor", "flat screen"),
}
"""Further words of each class, for CLIP; they match no class of ImageNet-1k that `VOC_PROMPTS` does not.

"bird avian", "chair seat", "person with clothes", "people", "human" and "tv monitor screen" are CLIP-ES's (Lin et al.
2023); the others are ours.
"""
