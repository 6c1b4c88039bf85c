"""What every part is: a section of the schema that knows what builds it, and with which arguments."""

from typing import Any, ClassVar

from pydantic import Field

from medcls.config.section import Section
from medcls.config.targets import DottedPath


class Part(Section):
    """A part; ``target``: dotted path of the class or function that builds it."""

    target: ClassVar[str]

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for the target that the configuration decides: all its keys but the one that names it."""
        return self.model_dump(exclude={"family", "name"})


class OwnPart(Section):
    """A part from any library or file of the user's."""

    target: DottedPath = Field(alias="_target_")
    args: dict[str, Any]

    @property
    def title(self) -> str:
        """Last part of the dotted path."""
        return self.target.rpartition(".")[2]

    def arguments(self) -> dict[str, Any]:
        """The user's arguments."""
        return dict(self.args)
