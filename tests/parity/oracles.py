"""The networks of torchvision, timm and Keras with random weights, as functions of numpy arrays: what ours must equal."""

import functools
import os

import numpy as np
import pytest

# torchvision imports only beside a torch whose compiled operators it knows: the wheel for a CUDA build of torch does not load
# its operators beside a CPU build, and then the Python code that describes them for tracing, torchvision._meta_registrations,
# fails on their names. None of the networks calls one (they are for detection), so it is enough that the names exist.
OPERATORS = (
    *("nms", "qnms", "roi_align", "_roi_align_backward", "qroi_align", "roi_pool", "_roi_pool_backward", "ps_roi_align"),
    *("_ps_roi_align_backward", "ps_roi_pool", "_ps_roi_pool_backward", "deform_conv2d", "_deform_conv2d_backward"),
)


@functools.cache
def torchvision():
    """The package, imported beside any build of torch. Skips the test where one of the two is missing."""
    torch = pytest.importorskip("torch")
    try:
        import torchvision
    except ImportError:
        pytest.skip("torchvision is not installed")
    except RuntimeError:  # operator torchvision::nms does not exist
        import sys

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in OPERATORS:
            library.define(f"{name}() -> ()")
        torchvision.library = library  # the names go with it
    return torchvision
