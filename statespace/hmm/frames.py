"""What the recursions see of the observations: a log-likelihood for each state."""

from typing import NamedTuple

from statespace.protocols import Floats, Ints


class Frames(NamedTuple):
    """Log-likelihoods log p(x_t | z_t = k) of every step, each row of them written once where steps repeat."""

    table: Floats
    """Log-likelihoods, shape (n_rows, n_components): -inf where impossible, zeros where nothing was observed."""
    rows: Ints | None = None
    """The row of each step, shape (n_samples,); None where step t has row t."""

    @property
    def n_samples(self) -> int:
        """How many steps there are."""
        return len(self.table if self.rows is None else self.rows)
