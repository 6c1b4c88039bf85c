"""The losses: what training minimizes."""

from typing import ClassVar, Literal

from medcls.config.parts.part import OwnPart, Part
from medcls.config.section import Above0


class Loss(Part):
    """What training minimizes, and what the net's outputs mean; built with that meaning and with class weights.

    outputs: "default": one logit for two classes, softmax over one per class for more; "one_vs_rest": independent
    probabilities, one per class (for two classes the same as "default").
    """

    name: str
    class_weights: Literal["balanced"] | list[Above0] | None
    outputs: ClassVar[str] = "default"


class DefaultLoss(Loss):
    """Binary cross-entropy on one logit for two classes, cross-entropy for more."""

    target = "medcls.training.losses.loss_function"
    name: Literal["default"]


class OneVsRestLoss(Loss):
    """Binary cross-entropy over one independent output per class."""

    target = "medcls.training.losses.loss_function"
    name: Literal["one_vs_rest"]
    outputs = "one_vs_rest"


class OwnLoss(OwnPart):
    """A user's own loss: called with logits (N, n_outputs) and labels (N,), returns the mean over images.

    A class is built once with ``args``; a function gets them at every call. ``class_weights`` (C,) are passed as an
    argument of that name where they are configured.
    """

    name: Literal["own"]
    class_weights: Literal["balanced"] | list[Above0] | None
    outputs: Literal["default", "one_vs_rest"]


LOSSES = (DefaultLoss, OneVsRestLoss, OwnLoss)
