"""What people say of the rows of a label set; it is kept beside the set and never changes it. Imports no torch."""

from stores.labels.review.review import ConflictError, NothingToUndoError, Review, reviews_folder
from stores.labels.review.state import VERDICTS, Act, Change, Changed, Key, RowState

__all__ = [
    "VERDICTS",
    "Act",
    "Change",
    "Changed",
    "ConflictError",
    "Key",
    "NothingToUndoError",
    "Review",
    "RowState",
    "reviews_folder",
]
