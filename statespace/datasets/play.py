"""Two acts of a play, character by character: a text on which models of letters can be tried."""

from dataclasses import dataclass

from statespace.datasets.shipped import read_text


@dataclass(frozen=True, eq=False, repr=False)
class Play:
    """What is said, and by whom."""

    name: str
    text: str
    """All speeches, an empty line between two of them, the speaker's name and a colon on the first line of each."""
    source: str
    licence: str

    @property
    def characters(self) -> list[str]:
        """The text as one sequence of symbols."""
        return list(self.text)

    @property
    def speeches(self) -> list[tuple[str, str]]:
        """Speaker and words of each speech; some say nothing."""
        found = []
        for speech in self.text.rstrip("\n").split("\n\n"):
            speaker, _, words = speech.partition(":")
            found.append((speaker, words.removeprefix("\n")))
        return found

    def __len__(self) -> int:
        return len(self.text)

    def __repr__(self) -> str:
        speeches = self.speeches
        n_speakers = len({speaker for speaker, _ in speeches})
        return f"Play({self.name!r}, {len(self)} characters, {len(speeches)} speeches of {n_speakers} speakers)"


def load_romeo_and_juliet() -> Play:
    """William Shakespeare, Romeo and Juliet, the speeches of acts I and II: 61,058 characters, 60 different ones.

    Returns
    -------
    Play
        `text`, ASCII; `characters`, the same as a list; `speeches`.

    Notes
    -----
    Source: the file `input.txt` of the repository char-rnn by A. Karpathy (tiny shakespeare), lines of speeches without
    stage directions and prologue; kept to the letter. Licence: public domain.

    Examples
    --------
    >>> from statespace.datasets import load_romeo_and_juliet
    >>> play = load_romeo_and_juliet()
    >>> play
    Play('Romeo and Juliet, acts I and II', 61058 characters, 440 speeches of 24 speakers)
    >>> play.speeches[1]
    ('GREGORY', 'No, for then we should be colliers.')
    >>> "".join(play.characters[:8])
    'SAMPSON:'
    """
    return Play(
        name="Romeo and Juliet, acts I and II",
        text=read_text("romeo_and_juliet.txt"),
        source="tiny shakespeare, data/tinyshakespeare/input.txt of A. Karpathy's char-rnn",
        licence="public domain",
    )
