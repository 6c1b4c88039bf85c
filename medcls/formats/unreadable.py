"""The one exception for a file that is not a whole image."""


class UnreadableImage(Exception):
    """The content is not one whole image that can be read here.

    ``reason``: a few words for a list of files, such as "empty file"; ``lasting``: whether the same content will give
    the same answer next time, even with other limits or other packages.
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting
