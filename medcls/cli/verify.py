"""medcls verify: a pack from elsewhere, checked, and its table recomputed."""

from collections.abc import Sequence

from medcls.cli.of_runs import typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words
from medcls.errors import UserError
from medcls.pack.schema import VERIFY
from medcls.quoting import in_grammar, unquoted

PAGE = Page(
    about=(
        "Recompute the table of a pack, and report for each number whether it is the same.\n"
        "Checksums first; no code from the pack is run. Where images are in the pack or given by\n"
        "data.root, its nets classify them again. Exit status: 0 all numbers are the same, 1 a\n"
        "number differs, 2 not a valid pack."
    ),
    config="verify",
    words="FILE.zip [key=value ...]",
    bare_words=True,
    keys=[key for key in VERIFY if key != "pack"],
    examples=[
        ("run.zip", "from what is in the pack"),
        ("run.zip data.root=images", "and by classifying its validation and test images again"),
        ("run.zip data.root=images within=1e-4", "on a different kind of machine than the run's"),
    ],
)


def run(given: Words) -> int:
    """Check and recompute; returns the exit status."""
    from medcls.pack.schema import ConfigWithVerify, check_verify_keys

    config, keys = typed_config(overrides_with_file(given.others), "verify", ConfigWithVerify, check_verify_keys)

    from medcls.host.stop import stopping_in_order
    from medcls.pack.verify import verify

    with stopping_in_order():
        return verify(config, keys)


def overrides_with_file(words: Sequence[str]) -> list[str]:
    """The words for Hydra, the file as a key's value. Raises UserError without one file."""
    files = [unquoted(word) for word in words if "=" not in word and not word.startswith("~")]
    named = [word for word in words if word.startswith("pack=")]
    if len(files) + len(named) != 1:
        raise UserError(f"verify: found {' '.join([*files, *named]) or 'no file'}, expected one pack: run.zip")
    return [*(f"pack={in_grammar(file)}" for file in files), *(word for word in words if "=" in word)]
