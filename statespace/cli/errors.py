"""What a command answers when the user's file, column or value cannot be used."""

from collections.abc import Iterable


class CommandError(Exception):
    """One line for stderr that says what is wrong and what to do; the command ends with exit code 2."""

    def __str__(self) -> str:
        """Return the message on one line, whatever a file name or a cell has put into it."""
        return " ".join(super().__str__().split())


def listing(words: Iterable[str], conjunction: str = "and") -> str:
    """Return "a", "a and b" or "a, b and c"."""
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
