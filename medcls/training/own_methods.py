"""Methods of a Classifier that do medcls's own work, which a user's subclass must not lose."""

import inspect
from collections.abc import Iterator
from types import CodeType

from medcls.errors import UserError
from medcls.training.classifier import Classifier

# Each does nothing in Lightning, or not what a run needs.
METHODS = (
    *("on_train_epoch_start", "on_train_epoch_end", "validation_step", "on_validation_epoch_end"),
    *("configure_optimizers", "optimizer_step", "on_save_checkpoint", "on_load_checkpoint", "load_state_dict"),
)


def check_methods(kind: type[Classifier]) -> None:
    """Raise UserError for a subclass, or a base beside Classifier, with one of ``METHODS`` that does not call super."""
    for own in kind.__mro__[: kind.__mro__.index(Classifier)]:
        for method in METHODS:
            code = getattr(inspect.unwrap(vars(own)[method]), "__code__", None) if method in vars(own) else None
            if code is not None and method not in names_in(code):
                raise UserError(
                    f"classifier: {own.__module__}.{own.__qualname__}.{method} does not call super().{method}, which "
                    "does work that training needs.\n  Call it, and return what it returns, or leave the method out."
                )


def names_in(code: CodeType) -> Iterator[str]:
    """Names of attributes and globals that a function, or one inside it, asks for."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_in(inner)
