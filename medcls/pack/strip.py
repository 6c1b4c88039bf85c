"""Paths of a machine taken out of what runs left, and the search that nothing of it was overlooked."""

import getpass
import os
import re
import socket
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

PLACE = "/path/to"
NOBODY = ("root", "localhost")  # the same on every machine
# A string that is a path as a whole, perhaps as the value of an override; or paths among other words.
_WHOLE = re.compile(
    r"(?P<lead>[+~]*[\w./@-]*=)?(?P<quote>['\"]?)(?P<path>(?:file:/|/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\).*)(?P=quote)", re.S
)
_WITHIN = re.compile(
    r"(?<![\w.:/\\~-])(?:(?:file://)?(?:~[\w.-]*)?(?:/[^\s/'\",;:()\[\]{}<>=|]+){2,}/?|[A-Za-z]:[\\/][^\s'\",;]+)"
)
_SETTINGS = re.compile(r", [\w.]+=")  # the name of a variant
_LONG = 6  # bytes from which on a name is searched for among tensors and pixels, where shorter ones occur by chance


class Machine:
    """What names this machine and its user; ``folders``: further ones that the runs name, such as their images'."""

    def __init__(self, folders: Collection[str] = (), keep: Collection[str] = ()) -> None:
        unknown = (Path(folder) for folder in folders if not folder.startswith(f"{PLACE}/"))  # not those of a pack
        here = {Path.home(), Path.cwd(), Path(tempfile.gettempdir()), *unknown}
        paths = {str(form) for path in here for form in (path, path.resolve()) if form.is_absolute()}
        self.paths = sorted(paths - {os.sep}, key=lambda path: (-len(path), path))
        host = socket.gethostname()
        names = {_user(), Path.home().name, host, host.partition(".")[0]}
        allowed = {word.casefold() for word in (*NOBODY, *keep)}
        self.names = sorted(name for name in names if name and name.casefold() not in allowed)
        words = [rf"(?<![^\W_]){re.escape(name)}(?![^\W_])" for name in self.names]
        self._words = re.compile("|".join(words), re.I) if words else None
        self._paths = re.compile("|".join(rf"(?<![\w.~-]){re.escape(path)}(?![\w.-])" for path in self.paths))

    def without_paths(self, text: str) -> str:
        """Text in which the folders of this machine are those of nobody."""
        return self._paths.sub(f"{PLACE}/_", text)

    def without_names(self, text: str) -> str:
        """Text without the user's and the machine's names."""
        return text if self._words is None else self._words.sub("_", text)

    def found_in(self, text: str) -> str:
        """The first of its folders or names that ``text`` holds; "" where there is none."""
        text = re.sub(r"\\(?:[nrt]|(\\))", r"\1 ", text)  # escaped in JSON and YAML
        found = self._paths.search(text) or (self._words.search(text) if self._words else None)
        return found[0] if found else ""

    def found_among(self, content: bytes) -> str:
        """The same of bytes that are no text, among which short names occur by chance."""
        long = (name for name in (*self.paths, *self.names) if len(name.encode()) >= _LONG)
        return next((name for name in long if name.encode() in content), "")


class Stripper:
    """Replaces absolute paths by /path/to/NAME: one path by the same everywhere, two paths never by the same.

    roots: folders of images, of which what lies below keeps its names.
    """

    def __init__(self, machine: Machine, roots: Collection[str] = ()) -> None:
        self.machine = machine
        self.roots = sorted(roots, key=lambda root: (-len(root), root))
        self.given: dict[str, str] = {}

    def values(self, content: Any, *, names: bool = False) -> Any:
        """Nested plain values with every string stripped, keys too; names: also of the names of user and machine."""
        if isinstance(content, str):
            return self.machine.without_names(self.text(content)) if names else self.text(content)
        if isinstance(content, Mapping):
            kind = type(content) if isinstance(content, dict) else dict
            stripped = {self.values(k, names=names): self.values(v, names=names) for k, v in content.items()}
            return content if stripped.keys() == content.keys() and _same(stripped, content) else kind(stripped)
        if isinstance(content, list | tuple):
            found = [self.values(one, names=names) for one in content]
            changed = any(a is not b for a, b in zip(found, content, strict=True))
            return (found if isinstance(content, list) else tuple(found)) if changed else content
        return content

    def text(self, text: str) -> str:
        """The text with its paths replaced; itself where there are none."""
        if (whole := _WHOLE.fullmatch(text)) and not _SETTINGS.search(text):
            path = self.path(whole["path"])
            return f"{whole['lead'] or ''}{whole['quote']}{path}{whole['quote']}"
        stripped = _WITHIN.sub(lambda found: self.path(found[0]), self.machine.without_paths(text))
        return text if stripped == text else stripped

    def path(self, path: str) -> str:
        """What stands for a path."""
        if path == PLACE or path in self.given.values():
            return path
        for root in self.roots:
            if path.startswith(f"{root}/"):
                return self.path(root) + path[len(root) :]
        if path not in self.given:
            name = (PureWindowsPath if "\\" in path else PurePath)(path.removeprefix("file:")).name
            name = "home" if path.rstrip("/") in (str(Path.home()), "~") else self.machine.without_names(name)
            taken, number = set(self.given.values()), 2
            given = f"{PLACE}/{name}"
            while given in taken:
                given, number = f"{PLACE}/{number}/{name}", number + 1
            self.given[path] = given
        return self.given[path]


def strings_in(content: Any) -> Iterator[str]:
    """Every string of nested plain values, keys too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from strings_in(key)
            yield from strings_in(value)
    elif isinstance(content, list | tuple | set | frozenset):
        for value in content:
            yield from strings_in(value)


def _same(stripped: Mapping[Any, Any], content: Mapping[Any, Any]) -> bool:
    return all(stripped[key] is value for key, value in content.items())


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number that no account has, as in containers
        return os.environ.get("USERNAME", "")
