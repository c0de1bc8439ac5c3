"""Weights and directions of the balancers: of the papers' formulas, computed with fifty digits, and
how far TorchJD's come from them.

python3 balance.py        writes balance.safetensors and balance.json beside this file, in about
                          five minutes

Beside torch, numpy and safetensors it needs torchjd 0.18.0, scipy 1.17.1, cvxpy 1.9.3, clarabel
0.11.1, ecos 2.0.14, quadprog 0.1.14, qpsolvers 4.13.0, mpmath 1.3.0 and gmpy2:
`pip install torchjd==0.18.0 scipy cvxpy clarabel ecos quadprog qpsolvers mpmath gmpy2`.

A Jacobian has a row for each task; its entries are float32 numbers. A balancer gives each row a
weight, and the direction is the sum of the rows with these weights. `case.NUMBER.weights` has a row
for each method in METHODS. Losses and Jacobians of the sequences are float32 numbers too; all
results are float64. What a method is and where libraries depart from its paper stands in the
`notes` of balance.json, with the differences this run measured.

Of cases whose rows are not linearly independent, not all methods fix the weights (`not_unique`;
then only directions can be compared), and some have no solution (`undefined`; the weights are then
zero). A direction can be zero: compare it with the sum of the rows' norms times their weights.
"""

import json
import math
import re
import warnings
from unittest import mock

import mpmath
import numpy as np
import scipy.linalg
import scipy.optimize
import torch
import torchjd.aggregation as jd
import torchjd.scalarization as jds
from mpmath import mpf
from safetensors.numpy import save_file

from architectures import pcg4d
from trajectory import HERE

METHODS = [
    "mgda",
    "pcgrad",
    "cagrad",
    "imtl_g",
    "nash_mtl",
    "fairgrad",
    "fairgrad_alpha_1",
    "aligned_mtl_min",
    "aligned_mtl_median",
    "aligned_mtl_rmse",
    "upgrad",
    "dual_proj",
    "upgrad_exact",
    "dual_proj_exact",
    "config",
]
CAGRAD_C = 0.4
FAIRGRAD_ALPHA = 2
NASH_MAX_NORM = 1
NORM_EPS = 1e-4  # TorchJD's: a Gram matrix with a smaller trace counts as zero
REG_EPS = 1e-4  # TorchJD's: added to the diagonal of the Gram matrix divided by its trace
SCALES = [1, 1e-10, 1e-3, 1e3, 1e10, 1e15]

mpmath.mp.dps = 50
TINY = mpf(10) ** -35
SQRT = np.vectorize(mpmath.sqrt, otypes=[object])


# Linear algebra with fifty digits, on numpy arrays of mpmath's numbers.


def exact(x):
    return np.vectorize(mpf, otypes=[object])(np.asarray(x))


def rounded(x):
    return np.asarray(x).astype(np.float64)


def norm(x):
    return mpmath.sqrt(x @ x)


def solve(a, b):
    """float64 with refinement; where that does not converge, elimination with fifty digits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            factors = scipy.linalg.lu_factor(rounded(a))
            x, size = b * 0, max(abs(b))
            residual = b
            for _ in range(60):
                largest = max(abs(residual))
                if largest <= size * mpf(10) ** -44:
                    return x
                step = scipy.linalg.lu_solve(factors, rounded(residual / largest))
                x = x + exact(step) * largest
                residual = b - a @ x
        except (scipy.linalg.LinAlgWarning, RuntimeWarning, ValueError):
            pass
    return np.array(list(mpmath.lu_solve(mpmath.matrix(a.tolist()), mpmath.matrix(b.tolist()))))


def eigen(k):
    """The positive eigenvalues, descending, and their eigenvectors as columns."""
    trace = k.trace()
    if trace == 0:
        return exact([]), exact(np.zeros((len(k), 0)))
    values, vectors = mpmath.eigsy(mpmath.matrix((k / trace).tolist()))
    order = [i for i in range(len(k) - 1, -1, -1) if values[i] > TINY]
    return (
        np.array([values[i] * trace for i in order], dtype=object),
        np.array([[vectors[r, c] for c in order] for r in range(len(k))], dtype=object),
    )


def nonnegative(g, q, guess):
    """The z >= 0 with the least z'gz / 2 - q'z, by Lawson and Hanson's active sets. `guess` are the
    indices that a float64 solution has above zero. Rows and columns of g above zero are always
    linearly independent."""
    z = q * 0
    free = [int(i) for i in guess]
    if free:
        try:
            z[free] = solve(g[np.ix_(free, free)], q[free])
        except ZeroDivisionError:
            z[free] = 0
        if min(z[free]) <= 0:
            z, free = q * 0, []
    while True:
        gradient = q - g @ z
        gradient[free] = 0
        best = int(np.argmax(gradient))
        if gradient[best] <= TINY:
            return z
        free.append(best)
        while True:
            s = q * 0
            s[free] = solve(g[np.ix_(free, free)], q[free])
            bad = [i for i in free if s[i] <= 0]
            if not bad:
                z = s
                break
            z = z + min(z[i] / (z[i] - s[i]) for i in bad) * (s - z)
            free = [i for i in free if z[i] > TINY]


def above_zero(a, b):
    """Which entries float64's non-negative least squares has above zero."""
    z = scipy.optimize.nnls(rounded(a), rounded(b))[0]
    return np.flatnonzero(z > 1e-9 * z.max()) if z.max() > 0 else []


class Rows:
    """A case's Jacobian with fifty digits, and what several methods need of it."""

    def __init__(self, jacobian):
        self.j = exact(jacobian)
        self.k = self.j @ self.j.T
        self.count = len(self.j)
        self.trace = self.k.trace()
        self.norms = SQRT(self.k.diagonal())
        self.kept = [i for i in range(self.count) if self.norms[i] > 0]
        self.values, self.vectors = eigen(self.k)
        self.rank = len(self.values)
        self.mean = exact(np.ones(self.count)) / self.count
        kept = np.ix_(self.kept, self.kept)
        self.cosines = (
            self.k
            / np.where(self.norms == 0, 1, self.norms)[:, None]
            / np.where(self.norms == 0, 1, self.norms)
        )[kept]

    def unit_rows(self):
        """Without change of their relation, so that float64 can hold their Gram matrix."""
        return self.j / (mpmath.sqrt(self.trace) if self.trace else 1)

    def spread(self, values):
        """Values of the rows that are not zero, and zero for the others."""
        out = exact(np.zeros(self.count))
        out[self.kept] = values
        return out

    def pseudo_inverse(self, b):
        return self.vectors @ ((self.vectors.T @ b) / self.values)

    def independent(self, rows, affine=False):
        if self.rank == self.count:
            return True
        j = self.unit_rows()[rows]
        if affine:
            j = np.concatenate([j, exact(np.ones((len(j), 1)))], axis=1)
        return len(eigen(j @ j.T)[0]) == len(rows)


# The methods. Each returns the weights and whether they are the only ones, or None where there is
# no solution.


def mgda(rows):
    """The point of the rows' convex hull nearest to zero: z >= 0 with the least
    |J'z|^2 + (sum z - 1)^2, divided by its sum. The rows have norms near 1 for this."""
    j = rows.unit_rows()
    ones = exact(np.ones((rows.count, 1)))
    lifted = np.concatenate([j, ones], axis=1)
    target = exact(np.append(np.zeros(j.shape[1]), 1))
    z = nonnegative(lifted @ lifted.T, lifted @ target, above_zero(lifted.T, target))
    w = z / z.sum()
    slack = j @ (j.T @ w) - (w @ j) @ (w @ j)
    assert min(slack) >= -TINY and abs(slack @ w) <= TINY
    active = [i for i in range(rows.count) if slack[i] <= TINY]
    return w, rows.independent(active, affine=True)


def permutation(low, high, task, count):
    p = list(range(count))
    for j in range(count - 1, 0, -1):
        r = pcg4d(low, high, task, j) % (j + 1)
        p[j], p[r] = p[r], p[j]
    return p


def pcgrad(rows, key):
    total = exact(np.zeros(rows.count))
    for i in range(rows.count):
        c = exact(np.zeros(rows.count))
        c[i] = mpf(1)
        for j in permutation(*key, i, rows.count):
            product = rows.k[j] @ c
            if j != i and product < 0:
                c[j] -= product / rows.k[j, j]
        total += c
    return total, True


def cagrad(rows, c=CAGRAD_C):
    """d = g0 + c |g0| gw / |gw|, where w in the simplex has the least gw'g0 + c |g0| |gw|."""
    j = rows.unit_rows()
    k = j @ j.T
    b = k @ rows.mean
    s = mpf(c) * norm(rows.mean @ j)
    if s <= TINY:
        return exact(np.zeros(rows.count)), False
    w = cagrad_guess(rounded(j), float(s))
    if norm(w @ j) < 1e-7:
        # The least is 0 and lies where gw = 0.
        assert w @ b + s * norm(w @ j) > -1e-9
        return exact(np.zeros(rows.count)), True
    w, slack = cagrad_newton(k, b, s, exact(w), list(np.flatnonzero(w > 1e-9)))
    length = norm(w @ j)
    assert length > 1e-7 and abs(w.sum() - 1) < TINY and min(w) >= 0 and min(slack) >= -TINY
    active = [i for i in range(rows.count) if slack[i] <= TINY]
    return rows.mean + s / length * w, rows.independent(active, affine=True)


def cagrad_guess(j, s):
    """In float64. gw has the length t where g0 + (s / t) gw is the point nearest to zero of the
    convex hull of g0 + (s / t) gi."""
    low, high = 1e-9, 1.0
    for _ in range(100):
        t = math.sqrt(low * high)
        shifted = j.mean(axis=0) + s / t * j
        shifted = shifted / np.linalg.norm(shifted)
        lifted = np.concatenate([shifted, np.ones((len(j), 1))], axis=1)
        z = scipy.optimize.nnls(lifted.T, np.append(np.zeros(j.shape[1]), 1))[0]
        w = z / z.sum()
        if np.linalg.norm(w @ j) > t:
            low = t
        else:
            high = t
    return w


def cagrad_newton(k, b, s, start, free):
    """Weights that sum to 1 with one gradient for all `free`, and by how much the others' gradients
    are above it."""
    n = len(free)
    a = k[np.ix_(free, free)]
    w = start[free] + mpf(10) ** -12
    w = w / w.sum()
    level = mpf(0)
    for step in range(60):
        aw = a @ w
        length = mpmath.sqrt(w @ aw)
        gradient = b[free] + s * aw / length
        residual = np.append(gradient - level, 0)
        matrix = np.full((n + 1, n + 1), mpf(0), dtype=object)
        matrix[:n, :n] = s * (a / length - np.outer(aw, aw) / length**3)
        matrix[:n, n], matrix[n, :n] = mpf(-1), mpf(1)
        move = solve(matrix, -residual)
        size = max(abs(move[:n]))
        w = w + move[:n] * min(mpf(1), mpf("0.3") / size if size else mpf(1))
        level += move[n]
        if size < mpf(10) ** -42:
            break
    full = b * 0
    full[free] = w
    kw = k @ full
    slack = b + s * kw / mpmath.sqrt(full @ kw) - level
    assert max(abs(slack[free])) <= TINY
    return full, slack


def imtl_g(rows):
    v = rows.pseudo_inverse(rows.norms)
    total = v.sum()
    return (v / total if abs(total) > TINY * max(abs(v), default=1) else v * 0), True


def power_root(k, p, undefined):
    """The a > 0 with k a = a^(p - 1): where a'ka / 2 - sum a^p / p (the logarithm for p = 0) is
    least. Damped steps of Newton, first in float64."""
    if undefined:
        return None
    count = len(k)
    scale = (k.trace() / count) ** (mpf(1) / (2 - mpf(p)))
    k = k / (k.trace() / count)
    k64 = rounded(k)

    def value(a):
        return a @ k64 @ a / 2 - (np.log(a).sum() if p == 0 else (a**p).sum() / p)

    a = np.ones(count)
    for _ in range(500):
        gradient = k64 @ a - a ** (p - 1)
        hessian = k64 + np.diag((1 - p) * a ** (p - 2))
        move = -np.linalg.solve(hessian, gradient)
        t = 1.0
        while np.any(a + t * move <= 0) or value(a + t * move) > value(a) + 0.1 * t * (
            gradient @ move
        ):
            t /= 2
            if t < 1e-12:
                break
        if t < 1e-12 or np.max(np.abs(move / a)) < 1e-10:
            break
        a = a + t * move
    a = exact(a)
    for _ in range(12):
        power = np.vectorize(lambda x: x ** (mpf(p) - 1), otypes=[object])(a)
        hessian = k + np.diag((1 - mpf(p)) * power / a)
        move = solve(hessian, power - k @ a)
        a = a + move
        if max(abs(move / a)) < mpf(10) ** -40:
            break
    power = np.vectorize(lambda x: x ** (mpf(p) - 1), otypes=[object])(a)
    assert min(a) > 0 and max(abs((k @ a) / power - 1)) < TINY
    return a / scale


def stationary(rows):
    """Whether some convex combination of the rows that are not zero is zero."""
    if not rows.kept:
        return True
    inner = Rows(rows.j[rows.kept] / rows.norms[rows.kept][:, None])
    w, _ = mgda(inner)
    return norm(w @ inner.j) <= TINY


def nash_mtl(rows, undefined):
    """K a = 1 / a, then a direction no longer than 1. Its length would be the square root of the
    number of rows."""
    a = power_root(rows.cosines, 0, undefined)
    if a is None:
        return None
    w = rows.spread(a / rows.norms[rows.kept])
    length = norm(w @ rows.j)
    assert abs(length**2 - len(rows.kept)) < TINY
    return w / max(length / NASH_MAX_NORM, mpf(1)), True


def fairgrad(rows, alpha, undefined):
    a = power_root(rows.k[np.ix_(rows.kept, rows.kept)], 1 - 1 / alpha, undefined)
    return None if a is None else (rows.spread(a), True)


def aligned_mtl(rows, mode):
    if rows.rank == 0:
        return rows.mean, True
    scale = {
        "min": rows.values[-1],
        "median": rows.values[rows.rank // 2],
        "rmse": rows.values.sum() / rows.rank,
    }[mode]
    return rows.vectors @ (SQRT(scale / rows.values) * (rows.vectors.T @ rows.mean)), True


def regularised(rows):
    """TorchJD's Gram matrix, and a matrix that has it as its own."""
    j = rows.j * 0 if rounded(rows.trace) < NORM_EPS else rows.unit_rows()
    eye = exact(np.eye(rows.count)) * mpmath.sqrt(mpf(REG_EPS))
    return np.concatenate([j, eye], axis=1)


def dual_cone(lifted, u):
    """The v >= u with the least v'Gv."""
    g = lifted @ lifted.T
    z = nonnegative(g, -(g @ u), above_zero(lifted.T, -(u @ lifted)))
    v = u + z
    gv = g @ v
    assert min(z) >= 0 and min(gv) >= -TINY and abs(z @ gv) <= TINY
    return v, [i for i in range(len(u)) if gv[i] <= TINY]


def upgrad(rows, lifted):
    total, unique = exact(np.zeros(rows.count)), True
    for i in range(rows.count):
        u = exact(np.eye(rows.count)[i]) / rows.count
        v, active = dual_cone(lifted, u)
        total += v
        unique = unique and rows.independent(active)
    return total, unique


def dual_proj(rows, lifted):
    v, active = dual_cone(lifted, rows.mean)
    return v, rows.independent(active)


def config(rows):
    """The pseudo-inverse of the unit rows times ones, as long as the rows' projections on it."""
    if not rows.kept:
        return exact(np.zeros(rows.count)), True
    values, vectors = eigen(rows.cosines)
    x = vectors @ ((vectors.T @ exact(np.ones(len(rows.kept)))) / values)
    w = rows.spread(x / rows.norms[rows.kept])
    best = w @ rows.j
    if norm(best) <= TINY:
        return w * 0, True
    return w * ((rows.j @ best).sum() / (best @ best)), True


def all_weights(rows, key):
    undefined = stationary(rows)
    lifted = regularised(rows)
    found = {
        "mgda": mgda(rows),
        "pcgrad": pcgrad(rows, key),
        "cagrad": cagrad(rows),
        "imtl_g": imtl_g(rows),
        "nash_mtl": nash_mtl(rows, undefined),
        "fairgrad": fairgrad(rows, FAIRGRAD_ALPHA, undefined),
        "fairgrad_alpha_1": fairgrad(rows, 1, undefined),
        "aligned_mtl_min": aligned_mtl(rows, "min"),
        "aligned_mtl_median": aligned_mtl(rows, "median"),
        "aligned_mtl_rmse": aligned_mtl(rows, "rmse"),
        "upgrad": (upgrad(rows, lifted)[0], True),
        "dual_proj": (dual_proj(rows, lifted)[0], True),
        "upgrad_exact": upgrad(rows, rows.unit_rows()),
        "dual_proj_exact": dual_proj(rows, rows.unit_rows()),
        "config": config(rows),
    }
    assert list(found) == METHODS
    zero = (exact(np.zeros(rows.count)), True)
    weights = np.array([(found[m] or zero)[0] for m in METHODS])
    weights = rounded(np.where(abs(weights) <= TINY, 0, weights))
    return (
        weights,
        [m for m in METHODS if found[m] and not found[m][1]],
        [m for m in METHODS if not found[m]],
    )


# The cases.


def float32(x):
    return np.asarray(x, dtype=np.float64).astype(np.float32)


def row_factors(rng, count, varied):
    return 10 ** rng.uniform(-1.5, 1.5, (count, 1)) if varied else np.ones((count, 1))


def wide(rng):
    """Numbers of tasks and of parameters of a Jacobian with full rank."""
    count = int(rng.choice([2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 24]))
    return count, min(count + 4 + int(rng.integers(0, 9)), 40)


def obtuse(rng, count, width):
    """Rows of which each two have a negative product."""
    while True:
        q = np.linalg.qr(rng.standard_normal((width, count)))[0].T
        j = q - 0.8 / count * q.sum(axis=0) + 0.02 / count * rng.standard_normal(q.shape)
        if np.all((j @ j.T)[~np.eye(count, dtype=bool)] < 0):
            return j


def product(rng, count, width, rank, least=-4):
    """Whole numbers of this rank; float32 holds them and their powers of two exactly."""
    while True:
        right = rng.integers(-4, 5, (rank, width))
        right[:, 0] = rng.integers(least, 5, rank)
        j = rng.integers(min(least, 0), 5, (count, rank)) @ right
        if np.linalg.matrix_rank(j) == rank and np.all(np.abs(j).sum(axis=1) > 0):
            return j.astype(np.float64)


def make_jacobians():
    """Returns [(kind, scale, jacobian)]. Where the rank matters, the scale is a power of two."""
    rng = np.random.default_rng(2026)
    cases = [("pinned", 1, np.array([[-4.0, 1, 1], [6, 1, 1]]))]

    def add(kind, j, exactly=False):
        scale = SCALES[len(cases) % len(SCALES)]
        scale = 2.0 ** round(math.log2(scale)) if exactly else scale
        cases.append((kind, scale, j * scale))

    for number in range(110):
        shape = (32, 36 + number // 40) if number % 40 == 39 else wide(rng)
        add("mixed", rng.standard_normal(shape) * row_factors(rng, shape[0], number % 5 == 4))
    for number in range(25):
        shape = wide(rng)
        add("positive", rng.uniform(0.05, 1, shape) * row_factors(rng, shape[0], number % 5 == 4))
    for number in range(20):
        shape = wide(rng)
        add("obtuse", obtuse(rng, *shape) * row_factors(rng, shape[0], number % 5 == 4))
    shapes = [(2, 1, 1), (3, 1, 1), (3, 2, 2), (4, 2, 2), (4, 6, 3), (5, 3, 3), (5, 8, 4)]
    shapes += [(6, 10, 3), (8, 5, 5), (8, 12, 7), (10, 14, 6), (12, 8, 8), (16, 20, 15)]
    shapes += [(24, 12, 12), (32, 40, 30)]
    for shape in shapes:
        add("deficient", product(rng, *shape), exactly=True)
    for shape in [(2, 3, 1), (3, 4, 2), (4, 3, 3), (6, 12, 4), (9, 6, 6), (14, 20, 12)]:
        # The first column is above zero: no convex combination of the rows is zero.
        add("deficient_positive", product(rng, *shape, least=1), exactly=True)
    for count, width, zero in [(3, 8, 1), (4, 9, 0), (6, 12, 5), (5, 3, 2)]:
        j = rng.integers(-9, 10, (count, width)).astype(np.float64)
        j[zero] = 0
        add("zero_row", j, exactly=True)
    for count, width in [(2, 6), (4, 9), (7, 14), (12, 18)]:
        j = rng.integers(-9, 10, (count, width)).astype(np.float64)
        j[-1] = j[0]
        add("equal_rows", j, exactly=True)
    for count, width in [(3, 7), (5, 9)]:
        j = np.abs(rng.integers(1, 10, (count, width))).astype(np.float64)
        j[1] = j[0]
        add("equal_rows", j, exactly=True)
    for count, width in [(3, 5), (6, 10)]:
        j = rng.integers(-9, 10, (count, width)).astype(np.float64)
        j[-1] = -j[:-1].sum(axis=0)
        add("sum_is_zero", j, exactly=True)
    j = rng.integers(-9, 10, (2, 5)).astype(np.float64)
    j[1] = -3 * j[0]
    add("opposite", j, exactly=True)
    add("zero", np.zeros((3, 5)))
    while len(cases) < 200:
        shape = wide(rng)
        add("mixed", rng.standard_normal(shape))
    assert len(cases) == 200
    return [(kind, scale, float32(j)) for kind, scale, j in cases]


# TorchJD's results, which are only compared with.


def randperm_for(key, without_itself):
    """A replacement of torch.randperm that gives the tasks' permutations one after another."""
    task = 0

    def randperm(count, *args, **kwargs):
        nonlocal task
        total = count + 1 if without_itself else count
        order = permutation(*key, task, total)
        if without_itself:
            others = [i for i in range(total) if i != task]
            order = [others.index(i) for i in order if i != task]
        task += 1
        return torch.tensor(order)

    return mock.patch("torch.randperm", randperm)


def torchjd_directions(j, key):
    """{name: (the method it is compared with, the direction or the name of an error)}"""
    j = torch.tensor(j)
    aggregators = {
        "mgda": ("mgda", jd.MGDA()),
        "mgda_10000_steps": ("mgda", jd.MGDA(epsilon=1e-15, max_iters=10000)),
        "pcgrad": ("pcgrad", jd.PCGrad()),
        "cagrad": ("cagrad", jd.CAGrad(c=CAGRAD_C)),
        "imtl_g": ("imtl_g", jd.IMTLG()),
        "nash_mtl": ("nash_mtl", jd.NashMTL(n_tasks=len(j))),
        "fairgrad": ("fairgrad", jd.FairGrad(alpha=FAIRGRAD_ALPHA)),
        "fairgrad_alpha_1": ("fairgrad_alpha_1", jd.FairGrad(alpha=1)),
        "aligned_mtl_min": ("aligned_mtl_min", jd.AlignedMTL(scale_mode="min")),
        "aligned_mtl_median": ("aligned_mtl_median", jd.AlignedMTL(scale_mode="median")),
        "aligned_mtl_rmse": ("aligned_mtl_rmse", jd.AlignedMTL(scale_mode="rmse")),
        "upgrad": ("upgrad", jd.UPGrad()),
        "upgrad_from_exact": ("upgrad_exact", jd.UPGrad()),
        "dual_proj": ("dual_proj", jd.DualProj()),
        "dual_proj_from_exact": ("dual_proj_exact", jd.DualProj()),
        "config": ("config", jd.ConFIG()),
    }
    out = {}
    for name, (method, aggregator) in aggregators.items():
        with warnings.catch_warnings(), randperm_for(key, without_itself=False):
            warnings.simplefilter("ignore")
            try:
                out[name] = (method, aggregator(j).numpy())
            except Exception as error:
                out[name] = (method, type(error).__name__)
    return out


class Differences:
    """How far directions are from the recorded ones: the norm of the difference, relative to the
    recorded direction, in three groups of cases."""

    GROUPS = ["full rank, scale 1", "full rank, any scale", "dependent rows"]

    def __init__(self):
        self.found = {}

    def add(self, name, case, recorded, direction):
        value = direction
        if not isinstance(direction, str):
            value = float(np.linalg.norm(direction - recorded) / np.linalg.norm(recorded))
            value = value if math.isfinite(value) else "not finite"
        full = case["rank"] == case["tasks"]
        groups = [2] if not full else [1] + [0] * (case["scale"] == 1)
        for group in groups:
            self.found.setdefault(name, [[], [], []])[group].append(value)

    def summary(self):
        """{name: {group: ...}}"""
        out = {}
        for name, groups in self.found.items():
            out[name] = {}
            for title, values in zip(self.GROUPS, groups):
                numbers = [v for v in values if not isinstance(v, str)]
                out[name][title] = {
                    "cases": len(values),
                    "median": short(np.median(numbers)),
                    "largest": short(max(numbers)),
                    "above 1e-6": sum(v > 1e-6 for v in numbers),
                    "above 1e-2": sum(v > 1e-2 for v in numbers),
                    "failed": len(values) - len(numbers),
                }
        return out


def short(x):
    return float(f"{x:.3g}")


def single_solves(tensors):
    cases, differences = [], Differences()
    for number, (kind, scale, jacobian) in enumerate(make_jacobians()):
        key = (1000 + number, 7)
        rows = Rows(jacobian)
        weights, not_unique, undefined = all_weights(rows, key)
        cosine_values = eigen(rows.cosines)[0] if rows.kept else []
        case = {
            "name": f"{number:03}",
            "kind": kind,
            "tasks": rows.count,
            "parameters": jacobian.shape[1],
            "scale": scale,
            "rank": rows.rank,
            "cosine_condition": (
                short(float(cosine_values[0] / cosine_values[-1])) if rows.kept else 0
            ),
            "key": list(key),
            "not_unique": not_unique,
            "undefined": undefined,
        }
        cases.append(case)
        tensors[f"case.{number:03}.jacobian"] = jacobian
        tensors[f"case.{number:03}.weights"] = weights
        j = jacobian.astype(np.float64)
        for name, (method, direction) in torchjd_directions(j, key).items():
            w = weights[METHODS.index(method)]
            # A direction of zero cannot be divided by.
            if np.linalg.norm(w @ j) > 1e-10 * (np.abs(w) @ np.linalg.norm(j, axis=1)):
                differences.add(name, case, w @ j, direction)
        print(number, kind, jacobian.shape, flush=True)
    return cases, differences.summary()


# Sequences of twenty steps with four tasks.

STEPS, TASKS, WIDTH = 20, 4, 12


def make_sequence():
    """Jacobians [20, 4, 12], losses [20, 4] and the losses after each step."""
    rng = np.random.default_rng(7)
    base = rng.standard_normal((TASKS, WIDTH))
    base[1] -= 0.9 * base[0]
    base[3] += 0.7 * base[2]
    size = np.array([0.1, 0.25, 0.5, 0.18])[:, None]
    jacobians = size * (base + 0.8 * rng.standard_normal((STEPS, TASKS, WIDTH)))
    t = np.arange(STEPS)[:, None]
    start, rate = np.array([2.5, 1.2, 0.8, 4.0]), np.array([0.12, 0.03, 0.01, 0.2])
    losses = start * np.exp(-rate * t) * np.exp(0.06 * rng.standard_normal((STEPS, TASKS)))
    after = losses * np.exp(-rate + 0.04 * rng.standard_normal((STEPS, TASKS)))
    return float32(jacobians), float32(losses), float32(after)


def gradvac(jacobians, beta=0.01):
    """Algorithm 1, in coefficients of the rows: task i's gradient is c'J."""
    target = np.zeros((TASKS, TASKS))
    out = []
    for step, j in enumerate(jacobians):
        k = j @ j.T
        lengths = np.sqrt(k.diagonal())
        weights = np.zeros(TASKS)
        for i in range(TASKS):
            c = np.eye(TASKS)[i]
            for other in permutation(2000 + step, 7, i, TASKS):
                if other == i:
                    continue
                length = math.sqrt(c @ k @ c)
                cosine = (c @ k[other]) / (length * lengths[other])
                goal = target[i, other]
                if cosine < goal:
                    sine, goal_sine = math.sqrt(1 - cosine**2), math.sqrt(1 - goal**2)
                    c[other] += (
                        length * (goal * sine - cosine * goal_sine) / (lengths[other] * goal_sine)
                    )
                target[i, other] = (1 - beta) * goal + beta * cosine
            weights += c
        out.append(weights)
    return np.array(out)


def torchjd_gradvac(jacobians):
    method = jd.GradVac(beta=0.01)
    out = []
    for step, j in enumerate(jacobians):
        with randperm_for((2000 + step, 7), without_itself=True):
            out.append(method.gramian_weighting(torch.tensor(j @ j.T)).numpy())
    return np.array(out)


def learned(losses, start, total, weights):
    """Scales s learned by Adam from `total`; the weights that they give before each step."""
    s = torch.full((TASKS,), start, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([s], lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    out = []
    for row in torch.tensor(losses):
        out.append(weights(s.detach()).numpy().copy())
        adam.zero_grad()
        total(s, row).backward()
        adam.step()
    return np.array(out)


def uncertainty(losses, start=0.0):
    return learned(
        losses,
        start,
        lambda s, loss: (torch.exp(-s) * loss / 2 + s / 2).sum(),
        lambda s: torch.exp(-s) / 2,
    )


def imtl_l(losses):
    return learned(losses, 0.0, lambda s, loss: (torch.exp(s) * loss - s).sum(), torch.exp)


def geometric(losses):
    return np.exp(np.log(losses).mean(axis=1, keepdims=True)) / (TASKS * losses)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def dwa(losses, epoch=5, temperature=2.0):
    means = losses.reshape(-1, epoch, TASKS).mean(axis=1)
    weights = np.ones_like(means)
    weights[2:] = TASKS * softmax(means[1:-1] / means[:-2] / temperature)
    return np.repeat(weights, epoch, axis=0)


def stch(losses, mu=1.0):
    return softmax(losses / TASKS / mu) / TASKS


def scalarized(method, losses):
    """The gradient that TorchJD's scalarization has with respect to the losses."""
    out = []
    for row in losses:
        x = torch.tensor(row, requires_grad=True)
        method(x).backward()
        out.append(x.grad.numpy())
    return np.array(out)


def famo(losses, after, gamma=0.01):
    xi = torch.zeros(TASKS, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([xi], lr=0.025, weight_decay=gamma)
    out = []
    for before, later in zip(torch.tensor(losses) + 1e-8, torch.tensor(after) + 1e-8):
        z = torch.softmax(xi, 0)
        share = (z / before).detach()
        out.append((share / share.sum()).numpy())
        adam.zero_grad()
        (z * (before.log() - later.log())).sum().backward()
        adam.step()
    return np.array(out)


def torchjd_famo(losses, after, gamma=0.01):
    method = jds.FAMO(TASKS, weight_decay=gamma).double()
    out = []
    for before, later in zip(losses, after):
        out.append(scalarized(method, before[None])[0])
        method.update(torch.tensor(later))
    return np.array(out)


def gradnorm(jacobians, losses, alpha=1.5, rate=0.025):
    weights, out, margin = np.ones(TASKS), [], math.inf
    for j, row in zip(jacobians, losses):
        out.append(weights)
        lengths = np.linalg.norm(j, axis=1)
        ratio = row / losses[0]
        size = weights * lengths
        goal = size.mean() * (ratio / ratio.mean()) ** alpha
        margin = min(margin, np.min(np.abs(size / goal - 1)))
        weights = weights - rate * lengths * np.sign(size - goal)
        weights = weights * TASKS / weights.sum()
    assert margin > 1e-3 and np.min(out) > 0, (margin, np.min(out))
    return np.array(out)


def excess_mtl(jacobians, step_size, authors=False):
    """TorchJD's: weights from 1/k; the first step's weights follow from the excess as it is. The
    authors' (and LibMTL's): weights from 1, which the first step leaves as they are, and a sum of
    k."""
    weights = np.ones(TASKS) if authors else np.full(TASKS, 1 / TASKS)
    squares, first, out = 0.0, None, []
    for j in jacobians:
        squares = squares + j**2
        excess = (j**2 / np.sqrt(squares + 1e-7)).sum(axis=1)
        if first is None:
            first, scaled = excess, 0 * excess if authors else excess
        else:
            scaled = excess / (first + (0 if authors else 1e-7))
        weights = softmax(np.log(weights) + step_size * scaled) * (TASKS if authors else 1)
        out.append(weights)
    return np.array(out)


def torchjd_excess_mtl(jacobians, step_size):
    method = jd.ExcessMTL(robust_step_size=step_size)
    return np.array([method.weighting(torch.tensor(j)).numpy().copy() for j in jacobians])


def db_mtl(jacobians, losses, beta=0.9, power=0.5):
    """Directions."""
    mean, out = 0.0, []
    for t, (j, row) in enumerate(zip(jacobians, losses), start=1):
        keep = beta / t**power
        mean = keep * mean + (1 - keep) * j / row[:, None]
        lengths = np.linalg.norm(mean, axis=1)
        out.append((lengths.max() / lengths) @ mean)
    return np.array(out)


def gap(a, b):
    """The largest relative difference of a step's weights."""
    return short(max(np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)))


def sequences(tensors):
    jacobians, losses, after = make_sequence()
    tensors["sequence.jacobians"] = jacobians
    tensors["sequence.losses"] = losses
    tensors["sequence.losses_after"] = after
    j, loss, later = (x.astype(np.float64) for x in (jacobians, losses, after))
    weights = {
        "gradvac": gradvac(j),
        "gradvac_0.5": gradvac(j, beta=0.5),
        "uncertainty": uncertainty(loss),
        "imtl_l": imtl_l(loss),
        "log": 1 / loss,
        "geometric": geometric(loss),
        "dwa": dwa(loss),
        "stch": stch(loss),
        "famo": famo(loss, later),
        "gradnorm": gradnorm(j, loss),
        "excess_mtl_1": excess_mtl(j, 1.0),
        "excess_mtl_0.01": excess_mtl(j, 0.01),
        "excess_mtl_authors_1": excess_mtl(j, 1.0, authors=True),
        "excess_mtl_authors_0.01": excess_mtl(j, 0.01, authors=True),
        "db_mtl": db_mtl(j, loss),
        "db_mtl_constant": db_mtl(j, loss, power=0.0),
    }
    settings = {
        "gradvac": {"beta": 0.01, "key": "2000 + step, 7"},
        "gradvac_0.5": {"beta": 0.5, "key": "2000 + step, 7"},
        "uncertainty": {"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        "imtl_l": {"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        "dwa": {"temperature": 2.0, "steps_of_an_epoch": 5},
        "stch": {"mu": 1.0},
        "famo": {"learning_rate": 0.025, "weight_decay": 0.01, "after": "sequence.losses_after"},
        "gradnorm": {"alpha": 1.5, "learning_rate": 0.025},
        "excess_mtl_1": {"step_size": 1.0},
        "excess_mtl_0.01": {"step_size": 0.01},
        "excess_mtl_authors_1": {"step_size": 1.0},
        "excess_mtl_authors_0.01": {"step_size": 0.01},
        "db_mtl": {"beta": 0.9, "power": 0.5, "direction": True},
        "db_mtl_constant": {"beta": 0.9, "power": 0.0, "direction": True},
    }
    entries = []
    for name, values in weights.items():
        tensors[f"sequence.{name}"] = values
        entries.append({"name": name, **settings.get(name, {})})
    w = weights

    def learned_by_torchjd(method):
        adam = torch.optim.Adam(method.parameters(), lr=0.01)
        out = []
        for row in loss:
            adam.zero_grad()
            out.append(scalarized(method, row[None])[0])
            adam.step()
        return np.array(out)

    def torchjd_dwa():
        method, out = jds.DWA(temperature=2.0), []
        for epoch in loss.reshape(-1, 5, TASKS):
            out.append(scalarized(method, epoch))
            method.step()
        return np.concatenate(out)

    differences = {
        "torchjd gradvac, beta 0.01": gap(w["gradvac"], torchjd_gradvac(j)),
        "gradvac with beta 0.5": gap(w["gradvac"], w["gradvac_0.5"]),
        "torchjd uncertainty": gap(w["uncertainty"], learned_by_torchjd(jds.UW(TASKS).double())),
        "uncertainty from -0.5 (LibMTL)": gap(w["uncertainty"], uncertainty(loss, -0.5)),
        "torchjd imtl_l": gap(w["imtl_l"], learned_by_torchjd(jds.IMTLL(TASKS).double())),
        "torchjd geometric": gap(w["geometric"], scalarized(jds.GeometricMean(), loss)),
        "torchjd dwa": gap(w["dwa"], torchjd_dwa()),
        "torchjd stch": gap(w["stch"], scalarized(jds.STCH(mu=1.0), loss)),
        "torchjd famo, weight decay 0.01": gap(w["famo"], torchjd_famo(loss, later)),
        "famo with weight decay 0.001": gap(w["famo"], famo(loss, later, 1e-3)),
        "famo with weight decay 0.00001": gap(w["famo"], famo(loss, later, 1e-5)),
        "torchjd excess_mtl_1": gap(w["excess_mtl_1"], torchjd_excess_mtl(j, 1.0)),
        "torchjd excess_mtl_0.01": gap(w["excess_mtl_0.01"], torchjd_excess_mtl(j, 0.01)),
        "excess_mtl_1, authors' shares": gap(w["excess_mtl_1"], w["excess_mtl_authors_1"] / TASKS),
        "excess_mtl_0.01, authors' shares": gap(
            w["excess_mtl_0.01"], w["excess_mtl_authors_0.01"] / TASKS
        ),
        "db_mtl with constant beta (LibMTL)": gap(w["db_mtl"], w["db_mtl_constant"]),
    }
    return entries, differences


# Gradient sign dropout with given uniform numbers.


def graddrop(tensors):
    rng = np.random.default_rng(11)
    cases, largest = [], 0.0
    for number, (count, width) in enumerate([(2, 6), (3, 12), (4, 16), (6, 24), (8, 32)]):
        j = rng.standard_normal((count, width))
        if number > 1:
            j[:, 3] = 0
            j[0, 5] = 0
        if number > 2:
            j[:, 7] = np.abs(j[:, 7])
            j[:, 8] = -np.abs(j[:, 8])
        jacobian, uniform = float32(j), float32(rng.uniform(0, 1, width))
        j, u = jacobian.astype(np.float64), uniform.astype(np.float64)
        total = np.abs(j).sum(axis=0)
        purity = 0.5 * (1 + j.sum(axis=0) / np.where(total == 0, 1, total))
        assert np.all((np.abs(purity - u) > 1e-4) | (total == 0))
        keep = ((purity > u) & (j > 0)) | ((purity < u) & (j < 0))
        tensors[f"graddrop.{number}.jacobian"] = jacobian
        tensors[f"graddrop.{number}.uniform"] = uniform
        varied = float32(rng.uniform(0, 1, count))
        leaks = {
            "no_leak": np.zeros(count),
            "leak": np.full(count, 0.3),
            "varied_leak": varied.astype(np.float64),
        }
        tensors[f"graddrop.{number}.varied_leaks"] = varied
        for name, leak in leaks.items():
            direction = ((leak[:, None] + (1 - leak[:, None]) * keep) * j).sum(axis=0)
            tensors[f"graddrop.{number}.{name}"] = direction
            with mock.patch("torch.rand", lambda *a, **k: torch.tensor(u)):
                theirs = jd.GradDrop(leak=torch.tensor(leak))(torch.tensor(j)).numpy()
            largest = max(largest, np.linalg.norm(theirs - direction) / np.linalg.norm(direction))
        cases.append({"name": str(number), "tasks": count, "parameters": width})
    return cases, {"torchjd graddrop": short(largest)}


# What each method is and where libraries depart from its paper. K = JJ', n_i = |g_i|, k tasks.
# LibMTL's numbers were measured once, with its commit 4336804 in float64 on the cases with full
# rank; TorchJD's are measured by each run.
NOTES = {
    "mgda": """
        source: torchjd 0.18.0 and LibMTL approximate it
        formula: w in the simplex with the least w'Kw.
        departures: TorchJD stops Frank and Wolfe's steps at 100 or where a step is below 1e-3,
            LibMTL its projected steps at 250 or a change below 1e-5. LibMTL's direction at scale
            1: median 2e-5, largest 0.16; at scale 1e-3 median 0.04, largest 2.4; it fails where
            all squared norms are above 1e8.
    """,
    "pcgrad": """
        source: torchjd 0.18.0
        formula: For each task i: c = e_i; for j in the permutation, j not i: p = (Kc)_j; where p
            < 0, c_j -= p / K_jj. The weights are the sum of the c.
        departures: LibMTL also projects on row i itself and adds 1e-8 to K_jj: at scale 1 at most
            1e-6, at 1e-3 up to 0.34, at 1e-10 median 0.37.
    """,
    "cagrad": """
        source: the paper; torchjd 0.18.0
        formula: w in the simplex with the least (1'Kw)/k + s |J'w|, s = c |J'1|/k; weights 1/k +
            s w / |J'w|, or zero where |J'w| or s is zero. Not rescaled.
        departures: TorchJD takes a Gram matrix with a trace below 1e-4 as zero and returns zero
            weights, and zero too where |J'w| < 1e-4 sqrt(trace). LibMTL and the authors divide by
            1 + c^2 by default (rescale 1; its copies in the code of FAMO and FairGrad also
            multiply by k) and add 1e-8 to squared norms. LibMTL without rescaling: at scale 1 at
            most 3e-4, at 1e3 and more median 0.3 and largest 1.1, at 1e-3 median 0.36, at 1e-10
            above 1e3: scipy's SLSQP stops early.
    """,
    "imtl_g": """
        source: torchjd 0.18.0
        formula: v = pinv(K) n, w = v / sum v, or zero where sum v is zero.
        departures: TorchJD returns zero where |sum v| < 1e-12, so for all gradients of norm 1e13
            or more. LibMTL's is the paper's closed form: the same within 3e-9 where the rows are
            independent, without a solution elsewhere.
    """,
    "nash_mtl": """
        source: the paper
        formula: a > 0 with K a = 1/a, zero rows left out with weight 0; then w = a max_norm /
            sqrt(k'), k' the number of rows that are not zero, for |J'a| = sqrt(k') is above
            max_norm = 1. No solution where a convex combination of the rows is zero.
        departures: TorchJD, LibMTL and the authors aim at this root of the matrix that is not
            normalised: in their constraints the Frobenius norm cancels. Their stopping rule takes
            it for the normalised one, and 20 steps with ECOS often end elsewhere. They keep the
            last step's result as the next start; this compares first calls.
    """,
    "fairgrad": """
        source: the paper; torchjd 0.18.0
        formula: a > 0 with K a = a^(-1/alpha), zero rows left out with weight 0; not normalised.
            fairgrad has alpha 2, fairgrad_alpha_1 alpha 1 (Nash-MTL's root without the last
            scaling).
        departures: TorchJD and LibMTL give the same equation to scipy's least_squares from 1/k
            with its default tolerances: right at scale 1, and mostly not at others. LibMTL's
            default alpha is 1.
    """,
    "aligned_mtl": """
        source: torchjd 0.18.0
        formula: K = V diag(l) V' with the r positive eigenvalues; w = V diag(sqrt(scale / l)) V'
            1/k; scale is the least l, their median (the lower of two), or (rmse) their mean.
            Weights 1/k where all rows are zero.
        departures: The authors and LibMTL sum instead of taking the mean: k times these weights.
            LibMTL has only the least. They count eigenvalues above largest l * k * float32's
            epsilon, TorchJD those above the type's own; here the rank is exact.
    """,
    "upgrad": """
        source: torchjd 0.18.0
        formula: G = K / trace K + 1e-4 I, or 1e-4 I where trace K < 1e-4. For each i: v_i >= e_i
            / k with the least v'Gv; the weights are the sum of the v_i. upgrad_exact: the
            paper's, with G = K.
        departures: upgrad against upgrad_exact: `upgrad_from_exact`. LibMTL's is the same as
            TorchJD's.
    """,
    "dual_proj": """
        source: torchjd 0.18.0
        formula: v >= 1/k with the least v'Gv, G as for upgrad. dual_proj_exact: with G = K.
        departures: `dual_proj_from_exact`.
    """,
    "config": """
        source: torchjd 0.18.0
        formula: U has the rows g_i / n_i (0 for a zero row); b = pinv(U) 1; direction (sum g_i'b)
            b / |b|^2. As weights: x = pinv(UU') 1, w_i = x_i / n_i (sum g_i'b) / |b|^2.
        departures: The authors use least squares, and for two tasks a form without an inverse;
            the same where the rows are independent.
    """,
    "gradvac": """
        source: the paper's algorithm 1 (beta 0.01)
        formula: For each task i: c = e_i; for j in the permutation, j not i: l = sqrt(c'Kc), p =
            (Kc)_j / (l n_j), t = target_ij; where p < t, c_j += l (t sqrt(1-p^2) - p sqrt(1-t^2))
            / (n_j sqrt(1-t^2)); then target_ij = (1-beta) t + beta p. The weights are the sum of
            the c.
        departures: TorchJD and LibMTL add 1e-8 to both denominators, and their default beta is
            0.5.
    """,
    "uncertainty": """
        source: the paper; torchjd 0.18.0
        formula: total = sum exp(-s_i) L_i / 2 + s_i / 2; weights exp(-s_i) / 2; Adam on s from 0.
        departures: LibMTL starts s at -0.5.
    """,
    "imtl_l": """
        source: the paper; torchjd 0.18.0
        formula: total = sum exp(s_i) L_i - s_i; weights exp(s_i); Adam on s from 0.
        departures: LibMTL has it only together with IMTL-G.
    """,
    "log": """
        source: formula
        formula: 1 / L_i.
    """,
    "geometric": """
        source: torchjd 0.18.0
        formula: (product of L)^(1/k) / (k L_i).
        departures: LibMTL's loss is the same; the weights it reports are other numbers.
    """,
    "dwa": """
        source: torchjd 0.18.0
        formula: k softmax(r / 2), r = mean loss of the last epoch / of the one before; ones in
            the first two epochs. An epoch has 5 steps.
        departures: LibMTL is the same.
    """,
    "stch": """
        source: the paper; torchjd 0.18.0
        formula: total = mu log sum exp(L_i / (k mu)), mu = 1; weights softmax(L / (k mu))_i / k.
        departures: LibMTL applies it to log(L_i / nadir), times k, after epochs of log losses.
    """,
    "famo": """
        source: the authors' famo.py
        formula: z = softmax(xi); D = L + 1e-8; w_i = z_i / D_i / sum(z_j / D_j). After the step:
            delta = log D - log D after; gradient z (delta - z'delta) and weight decay 0.01 xi,
            Adam 0.025 on xi.
        departures: The weight decay is 0.01 in the authors' famo.py, 1e-5 in their code of the
            experiments, 1e-3 in LibMTL and TorchJD.
    """,
    "gradnorm": """
        source: the paper
        formula: G_i = w_i n_i; r_i = (L_i / L_i(0)) / mean; goal_i = mean(G) r_i^1.5; w_i -=
            0.025 n_i sign(G_i - goal_i); w *= k / sum w. From ones. Weights can become negative.
        departures: LibMTL learns logits of k softmax with the model's optimizer, L(0) is the
            first epoch's mean, and weights are ones in that epoch. TorchJD has no GradNorm.
    """,
    "excess_mtl": """
        source: torchjd 0.18.0; excess_mtl_authors: the authors' code
        formula: S += J^2; e_i = sum over parameters of J^2 / sqrt(S + 1e-7). TorchJD: w =
            softmax(log w + step e) with w = 1/k before the first step, later e / (e of the first
            step + 1e-7). Authors: w = 1 in the first step; later w = k softmax(log w + step e / e
            of the first step).
        departures: The same in LibMTL as in the authors' code. TorchJD's weights of the first
            step already have the raw e in them, which depends on the gradients' scale.
    """,
    "db_mtl": """
        source: LibMTL's formula with the paper's decay
        formula: m_t = b m_(t-1) + (1-b) J_i / L_i, m_0 = 0, b = 0.9 / sqrt(t), t from 1;
            direction sum of max_j |m_j| / |m_i| m_i. db_mtl_constant: b = 0.9.
        departures: LibMTL's default is the constant b; it adds 1e-8 to L and to |m_i|. TorchJD
            has no DB-MTL.
    """,
    "graddrop": """
        source: the paper; torchjd 0.18.0
        formula: P = (1 + sum g / sum |g|) / 2 of each parameter; an entry counts where P > U and
            it is above zero, or P < U and it is below; direction sum of (leak_i + (1 - leak_i)
            counts) g_i.
        departures: LibMTL applies it to a representation times the sign of its values, with 1e-7
            added to the sum of |g|.
    """,
}


def notes():
    """One for each method, of its lines in NOTES."""
    out = []
    for method, text in NOTES.items():
        parts = re.split(r"(?:^|\s)(source|formula|departures): ", " ".join(text.split()))
        out.append({"method": method, **dict(zip(parts[1::2], parts[2::2]))})
    return out


def main():
    torch.set_num_threads(1)
    tensors = {}
    entries, sequence_differences = sequences(tensors)
    drop, drop_differences = graddrop(tensors)
    cases, case_differences = single_solves(tensors)
    record = {
        "methods": METHODS,
        "settings": {
            "cagrad_c": CAGRAD_C,
            "fairgrad_alpha": FAIRGRAD_ALPHA,
            "nash_max_norm": NASH_MAX_NORM,
            "norm_eps": NORM_EPS,
            "reg_eps": REG_EPS,
        },
        "cases": cases,
        "sequences": entries,
        "graddrop": drop,
        "notes": notes(),
        "differences_of_torchjd": case_differences,
        "differences_in_sequences": {**sequence_differences, **drop_differences},
    }
    save_file(tensors, HERE / "balance.safetensors")
    (HERE / "balance.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
