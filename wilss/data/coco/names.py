"""COCO's 80 classes in the order of COCO-to-VOC: 60 base classes, then the 20 that VOC has, each by ascending id."""

from __future__ import annotations

from wilss.data.source import VOID
from wilss.data.voc_names import VOC_PROMPTS, VOC_SYNONYMS

COCO_IDS: dict[int, str] = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck", 9: "boat",
    10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench", 16: "bird", 17: "cat",
    18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe",
    27: "backpack", 28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis",
    36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove", 41: "skateboard",
    42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass", 47: "cup", 48: "fork", 49: "knife",
    50: "spoon", 51: "bowl", 52: "banana", 53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot",
    58: "hot dog", 59: "pizza", 60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed",
    67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard",
    77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator", 84: "book",
    85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear", 89: "hair drier", 90: "toothbrush",
}  # fmt: skip
"""COCO's category ids (91 numbers, of which 80 are used) and names."""

VOC_TO_COCO = (5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)
"""COCO category id of each VOC class, in the order of the VOC ids 1 to 20."""

_ORDER = (*(i for i in COCO_IDS if i not in VOC_TO_COCO), *sorted(VOC_TO_COCO))
CLASSES: tuple[str, ...] = tuple(COCO_IDS[i] for i in _ORDER)
"""Class id = position + 1: ids 1 to 60 are the base classes, 61 to 80 the classes of VOC."""

CLASS_OF_COCO: dict[int, int] = {coco_id: number for number, coco_id in enumerate(_ORDER, start=1)}
"""COCO category id -> class id."""

CLASS_OF_VOC: tuple[int, ...] = tuple(CLASS_OF_COCO[i] for i in VOC_TO_COCO)
"""Class id of each VOC class, in the order of the VOC ids 1 to 20."""

N_BASE = 60

COCO_CLASSES: tuple[str, ...] = tuple(COCO_IDS.values())
"""The same names by few-shot id, 1 to 80, in the order of COCO's own ids; `coco_lookup` leads from one to the other."""

PROMPTS: dict[str, tuple[str, ...]] = {name: (name,) for name in CLASSES}
for _words, _coco_id in zip(VOC_PROMPTS.values(), VOC_TO_COCO, strict=True):
    PROMPTS[COCO_IDS[_coco_id]] = tuple(dict.fromkeys((COCO_IDS[_coco_id], *_words)))

SYNONYMS: dict[str, tuple[str, ...]] = {
    **{COCO_IDS[i]: words for i, words in zip(VOC_TO_COCO, VOC_SYNONYMS.values(), strict=True)},
    "truck": ("lorry", "pickup truck", "delivery truck"),
    "traffic light": ("traffic signal", "stoplight"),
    "fire hydrant": ("hydrant",),
    "stop sign": ("red stop sign",),
    "parking meter": ("coin parking meter",),
    "bench": ("park bench", "wooden bench"),
    "elephant": ("elephant calf",),
    "bear": ("brown bear", "polar bear"),
    "zebra": ("zebra with stripes",),
    "giraffe": ("giraffe with a long neck",),
    "backpack": ("rucksack", "school bag"),
    "umbrella": ("parasol",),
    "handbag": ("purse", "shoulder bag"),
    "tie": ("necktie", "bow tie"),
    "suitcase": ("luggage", "travel bag"),
    "frisbee": ("flying disc",),
    "skis": ("pair of skis",),
    "snowboard": ("snow board",),
    "sports ball": ("ball", "soccer ball", "tennis ball", "baseball"),
    "kite": ("flying kite",),
    "baseball bat": ("bat of a baseball player",),
    "baseball glove": ("baseball mitt",),
    "skateboard": ("skate board",),
    "surfboard": ("surf board",),
    "tennis racket": ("racket",),
    "wine glass": ("goblet", "glass of wine"),
    "cup": ("mug", "drinking glass", "cup of coffee"),
    "fork": ("table fork",),
    "knife": ("kitchen knife",),
    "spoon": ("teaspoon", "wooden spoon"),
    "bowl": ("soup bowl", "bowl of food"),
    "banana": ("bunch of bananas",),
    "apple": ("red apple", "green apple"),
    "sandwich": ("burger", "sub sandwich"),
    "orange": ("orange fruit", "mandarin"),
    "broccoli": ("broccoli florets",),
    "carrot": ("carrots",),
    "hot dog": ("sausage in a bun",),
    "pizza": ("slice of pizza",),
    "donut": ("doughnut",),
    "cake": ("birthday cake", "slice of cake"),
    "bed": ("bed with pillows", "bunk bed"),
    "toilet": ("toilet seat", "toilet bowl"),
    "laptop": ("laptop computer", "notebook computer"),
    "mouse": ("computer mouse",),
    "remote": ("remote control", "game controller"),
    "keyboard": ("computer keyboard",),
    "cell phone": ("mobile phone", "smartphone"),
    "microwave": ("microwave oven",),
    "oven": ("kitchen stove", "oven door"),
    "toaster": ("bread toaster",),
    "sink": ("washbasin", "kitchen sink"),
    "refrigerator": ("fridge",),
    "book": ("books on a shelf", "open book"),
    "clock": ("wall clock", "clock face"),
    "vase": ("flower vase",),
    "scissors": ("pair of scissors",),
    "teddy bear": ("stuffed bear", "soft toy"),
    "hair drier": ("hair dryer",),
    "toothbrush": ("tooth brush",),
}
"""Further words of all 80, for CLIP: those of `VOC_SYNONYMS` by COCO's names, the others are ours."""


def coco_lookup() -> tuple[int, ...]:
    """Lookup of 256 entries from class ids (position in `CLASSES` + 1) to few-shot ids 1..80; 0 and 255 stay."""
    table = [0] * 256
    table[VOID] = VOID
    for number, coco_id in enumerate(COCO_IDS, start=1):
        table[CLASS_OF_COCO[coco_id]] = number
    return tuple(table)
