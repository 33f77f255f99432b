"""Words of ImageNet's label set for things that it has no class of by their common name."""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


BIRDS = _names("""
    cock, hen, ostrich, brambling, goldfinch, finch, junco, indigo bunting, robin, bulbul, jay, magpie, chickadee,
    water ouzel, kite, eagle, vulture, owl, grouse, ptarmigan, prairie chicken, peacock, quail, partridge, macaw,
    African grey, cockatoo, lorikeet, coucal, bee eater, hornbill, hummingbird, jacamar, toucan, drake, merganser,
    goose, swan, stork, spoonbill, flamingo, heron, egret, bittern, limpkin, gallinule, coot, bustard, turnstone,
    sandpiper, redshank, dowitcher, oystercatcher, pelican, penguin, albatross
""")
DOGS = _names("""
    terrier, retriever, hound, spaniel, bullterrier, foxhound, wolfhound, deerhound, elkhound, coonhound, bloodhound,
    greyhound, chihuahua, pekinese, shih-tzu, papillon, ridgeback, beagle, bluetick, redbone, borzoi, whippet, saluki,
    weimaraner, schnauzer, vizsla, setter, kuvasz, schipperke, groenendael, malinois, briard, kelpie, komondor,
    sheepdog, collie, rottweiler, german shepherd, doberman, pinscher, boxer, mastiff, great dane, saint bernard,
    malamute, husky, dalmatian, affenpinscher, basenji, pug, leonberg, newfoundland, great pyrenees, samoyed,
    pomeranian, chow, keeshond, griffon, corgi, poodle
""")
PEOPLE = _names("""
    ballplayer, groom, scuba diver, jersey, jean, suit, sweatshirt, kimono, miniskirt, bikini, maillot,
    swimming trunks, gown, academic gown, lab coat, trench coat, fur coat, military uniform, pajama, poncho, abaya,
    sarong, brassiere, wig, cowboy hat, sombrero, bonnet, bathing cap, mortarboard, sunglasses, bow tie, windsor tie,
    apron, vestment, stole, overskirt, hoopskirt, bulletproof vest, running shoe
""")
"""It has three kinds of people; clothes stand in for the others."""

NOT_KINDS: dict[str, tuple[str, ...]] = {
    "car": ("freight car", "passenger car", "railroad car"),
    "cat": ("madagascar cat", "cat bear"),
    "dog": ("hot dog", "hotdog"),
    "horse": ("river horse",),
}
"""Common name -> names that end in it and are something else."""

KINDS: dict[str, tuple[str, ...]] = {"bird": BIRDS, "cat": ("tabby",), "dog": DOGS, "person": PEOPLE}
"""Common name, in small letters -> names of its kinds. Chosen by reading the label set, not by any score."""

STAND_INS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("aeroplane", "airplane"), ("airliner", "warplane")),
    **dict.fromkeys(("motorbike", "motorcycle"), ("moped", "motor scooter")),
    **dict.fromkeys(("potted plant", "pottedplant"), ("flowerpot",)),
    **dict.fromkeys(("tv", "tvmonitor"), ("television",)),
    "cell phone": ("cellular telephone",),
    "cow": ("ox",),
    "diningtable": ("dining table",),
    "handbag": ("purse",),
    "horse": ("sorrel",),
    "sink": ("washbasin",),
    "sofa": ("studio couch",),
}
"""Common name, in small letters -> names that stand for it where a classifier has none of its own.

ImageNet-1k's horse is a sorrel; in 21k, which has horses, a sorrel is a plant too. Chosen as `KINDS`.
"""
