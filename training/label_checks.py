"""What labelled documents must have before a run trains on them, as it would otherwise fail hours later."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classifier.errors import OptionError
from training.calibrate import check_both_occur
from training.corpus import kind_targets
from training.gold import GoldDocument


def check_documents(
    trained: Sequence[GoldDocument], kept_out: Sequence[GoldDocument], calibration: Sequence[GoldDocument]
) -> None:
    """Check that labelled documents can be trained and calibrated on.

    Parameters
    ----------
    trained, kept_out
        Those to train on, and those of the same files that are kept out of training.
    calibration
        Those of the calibration files.

    Raises
    ------
    OptionError
        If two have the same identifier, there are too few, a step has no kind, or all or no steps branch.
    """
    labelled = [*trained, *kept_out]
    calibrating = [*kept_out, *calibration]
    twice = [name for name, count in Counter(document.id for document in labelled).items() if count > 1]
    if twice:
        raise OptionError(
            f"{len(twice)} identifiers, the first of them {twice[0]!r}, name several labelled documents; "
            "the folds need one identifier a document"
        )
    if not trained or not calibrating:
        raise OptionError(
            f"{len(labelled)} labelled documents give {len(trained)} to train on and {len(calibrating)} to "
            "calibrate on; give more documents, or a file for calibration"
        )
    for document in (*trained, *calibrating):
        kind_targets(document)  # refuses steps without a kind
    check_both_occur(_branches(trained), "train on")
    check_both_occur(_branches(calibrating), "calibrate on")


def _branches(documents: Sequence[GoldDocument]) -> npt.NDArray[np.bool_]:
    return np.array([step.branches for document in documents for step in document.steps], dtype=np.bool_)
