"""Obvious twins of foundations/register_tile.py: loops over rows, columns and k, on flat arrays."""

ROWS = 8


def tile(width, n, x, x_at, x_row, x_k, a, a_at, a_k):
    """sum_k x_rk a_kc, as a list of rows."""
    return [
        [sum(x[x_at + r * x_row + k * x_k] * a[a_at + k * a_k + c] for k in range(n)) for c in range(width)]
        for r in range(ROWS)
    ]


def add_tile(width, n, x, x_at, x_row, x_k, a, a_at, a_k, out, out_at, out_row):
    for r, row in enumerate(tile(width, n, x, x_at, x_row, x_k, a, a_at, a_k)):
        for c, value in enumerate(row):
            out[out_at + r * out_row + c] += value


def weigh_tile(width, n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, out_row):
    for r, row in enumerate(tile(width, n, x, x_at, x_row, 1, a, a_at, width)):
        for c, value in enumerate(row):
            out[out_at + r * out_row + c] = value * e[places[first + r] + e_at + c]


def weigh_and_pair_tile(
    width, summed, n, x, x_at, x_row, a, a_at, e, e_at, places, first, out, out_at, y, y_at, pairs, targets
):
    for r, row in enumerate(tile(width, n, x, x_at, x_row, 1, a, a_at, width)):
        for c, value in enumerate(row):
            out[out_at + r * x_row + c] = value * e[places[first + r] + e_at + c]
            pair = value * y[y_at + r * x_row + c]
            if summed:
                pairs[places[first + r] + e_at + c] += pair
            else:
                pairs[targets[first + r] + e_at + c] = pair


def dot(n, x, x_at, y, y_at):
    return sum(x[x_at + k] * y[y_at + k] for k in range(n))
