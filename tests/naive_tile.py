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


# Twins of foundations/register_rows.py


def set_tile(n, x, x_at, x_row, x_k, a, a_at, a_k, start, start_at, start_row, out, out_at, out_row):
    begun = [[start[start_at + r * start_row + c] for c in range(8)] for r in range(ROWS)]
    for r, row in enumerate(tile(8, n, x, x_at, x_row, x_k, a, a_at, a_k)):
        for c, value in enumerate(row):
            out[out_at + r * out_row + c] = begun[r][c] + value


def set_product(
    rows, columns, n, x, x_at, x_row, x_k, a, a_at, a_k, start, start_at, start_row, out, out_at, out_row, lower
):
    for r in range(rows):
        for c in range(columns):
            if not lower or c // 8 <= r // 8:
                total = sum(x[x_at + r * x_row + k * x_k] * a[a_at + k * a_k + c] for k in range(n))
                out[out_at + r * out_row + c] = start[start_at + r * start_row + c] + total


def combine(n, x, x_at, a, a_at, a_k, start, start_at, out, out_at):
    for c in range(8):
        out[out_at + c] = start[start_at + c] + sum(x[x_at + k] * a[a_at + k * a_k + c] for k in range(n))


def combine_chosen(n, x, x_at, chosen, chosen_at, a, a_at, a_row, start, start_at, out, out_at):
    for c in range(8):
        total = sum(x[x_at + k] * a[a_at + chosen[chosen_at + k] * a_row + c] for k in range(n))
        out[out_at + c] = start[start_at + c] + total


def subtract_outer(n, x, x_at, y, y_at, a, a_at, out, out_at, row):
    for r in range(n):
        for c in range(8):
            out[out_at + r * row + c] = a[a_at + r * row + c] - x[x_at + r] * y[y_at + c]


def three_sums(n, x, x_at, y, y_at, z, z_at):
    products = [x[x_at + k] * y[y_at + k] for k in range(n)]
    return sum(products), sum(map(abs, products)), sum(x[x_at + k] ** 2 * z[z_at + k] for k in range(n))


def copy_run(n, a, a_at, out, out_at):
    for k in range(n):
        out[out_at + k] = a[a_at + k]


def add_scaled(n, factor, x, x_at, start, start_at, out, out_at):
    for k in range(n):
        out[out_at + k] = start[start_at + k] + factor * x[x_at + k]


def scale_run(n, factor, x, x_at, out, out_at):
    for k in range(n):
        out[out_at + k] = factor * x[x_at + k]


def take_row(n, data, row, root, moved, mean_at, left_at, bound, bound_at, k_at, scaled_at, taken_at):
    least = float("inf")
    for k in range(n):
        M = data[row + k]
        data[mean_at + k] += moved * M
        data[left_at + k] -= (root * M) ** 2
        data[k_at + k], data[scaled_at + k], data[taken_at + k] = root * root * M, root * M, -root * M
        least = min(least, data[left_at + k] - bound * data[bound_at + k])
    return least


def turn_tile(a, a_at, a_row, out, out_at, out_row):
    rows = [[a[a_at + r * a_row + c] for c in range(8)] for r in range(8)]
    for r in range(8):
        for c in range(8):
            out[out_at + c * out_row + r] = rows[r][c]


def mirror_tile(a, a_at, a_row):
    for r in range(8):
        for c in range(r + 1, 8):
            a[a_at + r * a_row + c] = a[a_at + c * a_row + r]
