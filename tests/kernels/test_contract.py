"""The contract of kernels.contract, on every backend, against the reference."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels import normal
from kernels.change import (
    COLUMNS,
    FULL,
    FULL_NOISES,
    NOISES,
    NOTHING_FROZEN,
    POOL,
    ROWS,
    Address,
    Change,
    Chosen,
    Factors,
    Frozen,
    FullNoise,
    MemberNoise,
    Noise,
    Span,
)
from kernels.contract import Backend
from kernels.errors import ExplodedError
from kernels.model.layers import PlainLayer

HERE = Address(0xFEEDFACECAFEBEEF, 0x12345678)
DTYPES = [torch.float32, torch.bfloat16, torch.float16]

# Few examples: Triton's interpreter takes a tenth of a second for each of the launches.
laws = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sizes = st.one_of(st.integers(1, 9), st.sampled_from([31, 64, 65, 130]))
coefficient_lists = st.lists(st.integers(-255, 255), min_size=1, max_size=40)


def masks(rows: int, columns: int, seed: int) -> Frozen:
    """Freeze about a third of the rows and of the columns."""
    draw = torch.Generator().manual_seed(seed)
    return Frozen(
        (torch.rand(rows, generator=draw) > 0.3).to(torch.int8),
        (torch.rand(columns, generator=draw) > 0.3).to(torch.int8),
    )


def weights_of(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return repeatable weights."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def integers(*shape: int, seed: int = 0, bound: int = 2**30) -> Tensor:
    """Return repeatable masters."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-bound, bound, shape, generator=draw, dtype=torch.int32)


def change_of(
    coefficients: Sequence[int],
    *,
    step: int = -77,
    noise: Noise = "rank1",
    frozen: Frozen = NOTHING_FROZEN,
    shape: tuple[int, int] = (1, 1),
) -> Change:
    """Return a change at the address of these tests, of any signs or factors where it has some.

    shape: of the tensor, read of directed noise alone
    """
    chosen = None
    if noise == "screened":
        numbers = [(7919 * (c + 300) + 31 * place) % POOL for place, c in enumerate(coefficients)]
        chosen = Chosen(tuple(numbers), tuple(reversed(numbers)))
    factors = factors_of(len(coefficients), shape) if noise == "directed" else None
    return Change(HERE, tuple(coefficients), step, noise, frozen, chosen, factors)


def factors_of(pairs: int, shape: tuple[int, int]) -> Factors:
    """Return repeatable factors, the largest that there can be among them."""
    draw = torch.Generator().manual_seed(pairs)
    rows, columns = (
        torch.randint(-31, 32, (pairs, count), generator=draw, dtype=torch.int8) for count in shape
    )
    rows[0, 0] = columns[0, 0] = 31
    return Factors(rows, columns)


def same_bytes(left: Tensor, right: Tensor) -> bool:
    """Compare dtype and bits, so that −0.0 is not +0.0."""
    if left.dtype != right.dtype:
        return False
    return torch.equal(left.contiguous().view(torch.uint8), right.contiguous().view(torch.uint8))


@laws
@given(
    key=st.integers(0, 2**64 - 1),
    side=st.integers(0, 2),
    first=st.integers(0, 2**33),
    count=st.integers(0, 300),
    pairs=st.integers(1, 70),
)
def test_signs_equal_the_reference(
    backend: Backend, reference: Backend, key: int, side: int, first: int, count: int, pairs: int
) -> None:
    """Any range of any side has the reference's signs."""
    address, span = Address(key, HERE.tensor), Span(side, count, first)
    ours = backend.signs(address, span, pairs=pairs)
    assert ours.dtype == torch.int8
    assert torch.equal(ours.cpu(), reference.signs(address, span, pairs=pairs))


@laws
@given(
    side=st.integers(0, 1),
    count=st.integers(0, 300),
    numbers=st.lists(st.integers(0, POOL - 1), max_size=70),
)
def test_chosen_signs_are_those_of_their_numbers(
    backend: Backend, reference: Backend, side: int, count: int, numbers: list[int]
) -> None:
    """Signs that are chosen are the reference's, and those that `signs` has, in any order."""
    span = Span(side, count)
    ours = backend.chosen_signs(HERE, span, numbers)
    assert ours.dtype == torch.int8
    assert torch.equal(ours.cpu(), reference.chosen_signs(HERE, span, numbers))
    low = [number % 64 for number in numbers]
    expected = backend.signs(HERE, span, pairs=64)[low]
    assert torch.equal(backend.chosen_signs(HERE, span, low), expected)


@laws
@given(
    side=st.integers(0, 2),
    first=st.integers(0, 2**33),
    count=st.integers(0, 200),
    pairs=st.integers(1, 7),
)
def test_deviates_equal_the_reference(
    backend: Backend, reference: Backend, side: int, first: int, count: int, pairs: int
) -> None:
    """Any range of any side has the reference's normal deviates, to the bit."""
    span = Span(side, count, first)
    ours = backend.normals(HERE, span, pairs=pairs)
    assert ours.dtype == torch.int8
    assert torch.equal(ours.cpu(), reference.normals(HERE, span, pairs=pairs))


def test_deviates_are_normal_and_independent_of_signs(backend: Backend) -> None:
    """Mean 0, variance 1, kurtosis 3, no correlation between pairs or with the signs."""
    count = 20_000
    deviates = backend.normals(HERE, Span(FULL, count), pairs=3).cpu().double()
    deviates *= 2.0**-normal.FRACTION_LOG2
    signs = backend.signs(HERE, Span(FULL, count), pairs=3).cpu().double()
    assert deviates.mean().abs() < 5 / count**0.5
    assert (deviates.square().mean() - 1).abs() < 5 * (2 / count) ** 0.5
    assert (deviates.pow(4).mean() - 3).abs() < 5 * (96 / count) ** 0.5
    correlation = torch.cat([deviates, signs]).corrcoef() - torch.eye(6)
    assert correlation.abs().max() < 5 / count**0.5


@laws
@given(
    rows=sizes,
    columns=sizes,
    member=st.integers(0, 70),
    dtype=st.sampled_from(DTYPES),
    noise=st.sampled_from(FULL_NOISES),
)
def test_full_members_equal_the_reference(
    backend: Backend,
    reference: Backend,
    rows: int,
    columns: int,
    member: int,
    dtype: torch.dtype,
    noise: FullNoise,
) -> None:
    """A full-rank member has the reference's bits, written alone or in a row of members."""
    base = weights_of(rows, columns, dtype=dtype)
    how = MemberNoise(HERE, -5, noise, masks(rows, columns, member))
    expected = reference.full_member(base, how, member)
    assert same_bytes(backend.full_member(base, how, member).cpu(), expected)
    others = [member, 0, member + 1, member + 2]
    for other, written in zip(others, backend.full_members(base, how, others), strict=True):
        alone = reference.full_member(base, how, other)
        assert same_bytes(written.cpu(), alone), f"member {other}"


@pytest.mark.parametrize("noise", FULL_NOISES)
def test_full_members_larger_than_a_block_equal_the_reference(
    backend: Backend, reference: Backend, noise: FullNoise
) -> None:
    """A tensor of several cache blocks and a rest has the reference's bits."""
    base, how, members = weights_of(97, 161), MemberNoise(HERE, -3, noise), [5, 64]
    for member, written in zip(members, backend.full_members(base, how, members), strict=True):
        assert same_bytes(written.cpu(), reference.full_member(base, how, member))


@laws
@given(rows=sizes, columns=sizes, pair=st.integers(0, 40), noise=st.sampled_from(FULL_NOISES))
def test_antithetic_full_members_cancel(
    backend: Backend, rows: int, columns: int, pair: int, noise: FullNoise
) -> None:
    """On a base of zeros the two members of a pair are opposite: the noise, times 2^s."""
    base, draw = torch.zeros(rows, columns), {"full": backend.signs, "normal": backend.normals}
    how = MemberNoise(HERE, -4, noise)
    plus, minus = (backend.full_member(base, how, 2 * pair + side).cpu() for side in (0, 1))
    assert torch.equal(plus, -minus)
    drawn = draw[noise](HERE, Span(FULL, rows * columns), pairs=pair + 1)[pair].cpu()
    assert torch.equal(plus.ravel(), drawn * 2.0**how.unit_log2)


@pytest.mark.parametrize("noise", FULL_NOISES)
def test_full_members_leave_the_base_and_frozen_bits_alone(
    backend: Backend, noise: FullNoise
) -> None:
    """Frozen −0.0 stays −0.0, and the base is only read."""
    base = torch.full((6, 5), -0.0)
    before, frozen = base.clone(), masks(6, 5, 3)
    member = backend.full_member(base, MemberNoise(HERE, 0, noise, frozen), 3).cpu()
    assert same_bytes(base, before)
    assert frozen.rows is not None
    assert frozen.columns is not None
    assert same_bytes(member[frozen.rows == 0], base[frozen.rows == 0])
    assert same_bytes(member[:, frozen.columns == 0], base[:, frozen.columns == 0])


@laws
@given(
    rows=sizes,
    columns=sizes,
    coefficients=coefficient_lists,
    step=st.integers(-(2**12), 2**12),
    noise=st.sampled_from(NOISES),
    masked=st.booleans(),
)
def test_updates_equal_the_reference(
    backend: Backend,
    reference: Backend,
    rows: int,
    columns: int,
    coefficients: list[int],
    step: int,
    noise: Noise,
    masked: bool,
) -> None:
    """Any update of any master has the reference's integers, and so its digest."""
    ours, theirs = integers(rows, columns), integers(rows, columns)
    frozen = masks(rows, columns, step + 2**12) if masked else NOTHING_FROZEN
    for one, master in ((backend, ours), (reference, theirs)):
        change = change_of(
            coefficients, step=step, frozen=frozen, noise=noise, shape=(rows, columns)
        )
        one.accumulate(master, change)
    assert torch.equal(ours, theirs)
    assert backend.digest(ours) == reference.digest(theirs)


@pytest.mark.parametrize(("pairs", "step"), [(32, 3), (33, -3), (130, 1), (300, 2**16)])
@pytest.mark.parametrize("noise", NOISES)
def test_many_pairs_and_long_steps_equal_the_reference(
    backend: Backend, reference: Backend, pairs: int, step: int, noise: Noise
) -> None:
    """Beyond the pairs whose sum fits 16 bits, and products that could leave 32, nothing rounds."""
    coefficients = [255 - 3 * (pair % 7) for pair in range(pairs)]
    if noise == "normal":
        step = min(step, 2**11)  # a longer one could leave int32 on its own
    if noise == "directed":
        coefficients = coefficients[:64]  # more would reach 2²⁴
    frozen, base = masks(19, 70, pairs), weights_of(19, 70)
    ours, theirs = (integers(19, 70, bound=2**16) for _ in range(2))
    change = change_of(coefficients, step=step, noise=noise, frozen=frozen, shape=(19, 70))
    try:
        reference.accumulate(theirs, change)
    except ExplodedError:
        with pytest.raises(ExplodedError):
            backend.advance(ours, base, change, exponent=-18)
    else:
        weights, digest = backend.advance(ours, base, change, exponent=-18)
        assert digest == reference.digest(theirs)
        assert same_bytes(weights.cpu(), reference.materialise(base, theirs, exponent=-18))
    assert torch.equal(ours, theirs)


def test_updates_larger_than_a_block_equal_the_reference(
    backend: Backend, reference: Backend
) -> None:
    """Pieces and threads leave no seam."""
    for noise in NOISES:
        ours, theirs = integers(130, 1100), integers(130, 1100)
        for one, master in ((backend, ours), (reference, theirs)):
            change = change_of([9, -200, 31], step=7, noise=noise, shape=(130, 1100))
            one.accumulate(master, change)
        assert torch.equal(ours, theirs)
        assert backend.digest(ours) == reference.digest(theirs)


@laws
@given(coefficients=coefficient_lists, step=st.integers(1, 2**16), noise=st.sampled_from(NOISES))
def test_taking_an_update_out_restores_every_bit(
    backend: Backend, coefficients: list[int], step: int, noise: Noise
) -> None:
    """K + u·S − u·S is K."""
    master = integers(13, 37)
    before = master.clone()
    for signed in (step, -step):
        change = change_of(coefficients, step=signed, noise=noise, shape=(13, 37))
        backend.accumulate(master, change)
    assert torch.equal(master, before)


@laws
@given(order=st.permutations(range(4)))
def test_generations_commute(backend: Backend, order: list[int]) -> None:
    """Any order of the same generations gives the same digest."""

    def after(sequence: Sequence[int]) -> int:
        master = torch.zeros(20, 33, dtype=torch.int32)
        for generation in sequence:
            address, coefficients = Address(generation, HERE.tensor), (generation + 1, -7)
            backend.accumulate(master, Change(address, coefficients, generation + 3))
        return backend.digest(master)

    assert after(order) == after(range(4))


@pytest.mark.parametrize("noise", NOISES)
def test_frozen_units_never_move(backend: Backend, noise: Noise) -> None:
    """Frozen rows and columns keep their integers; the others move, but where a sum is 0."""
    master, frozen = integers(40, 30), masks(40, 30, 1)
    before, free = master.clone(), torch.zeros(40, 30, dtype=torch.int32)
    for moved, mask in ((master, frozen), (free, NOTHING_FROZEN)):
        change = change_of([1, 2, 4], step=32, frozen=mask, noise=noise, shape=(40, 30))
        backend.accumulate(moved, change)
    assert frozen.rows is not None
    assert frozen.columns is not None
    moves = (frozen.rows[:, None] * frozen.columns).bool()
    assert torch.equal(master - before, torch.where(moves, free, 0))
    assert (free != 0).double().mean() > 0.9


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_update_that_leaves_int32_changes_nothing(
    backend: Backend, noise: Noise, sign: int
) -> None:
    """One element over the edge stops the whole update, and K is as before."""
    master, change = integers(70, 90), torch.zeros(70, 90, dtype=torch.int32)
    backend.accumulate(change, change_of([1], step=32, noise=noise, shape=(70, 90)))
    place = int(change.abs().argmax())
    outwards = sign * int(change.view(-1)[place].sign())
    master.view(-1)[place] = sign * (2**31 - 3)
    before = master.clone()
    beyond = change_of([1], step=5 * 32 * outwards, noise=noise, shape=(70, 90))
    with pytest.raises(ExplodedError, match="int32"):
        backend.accumulate(master, beyond)
    assert torch.equal(master, before)


def test_screened_pairs_of_their_own_numbers_are_rank1_pairs(
    backend: Backend, reference: Backend
) -> None:
    """Chosen as numbered, signs are those of rank-1 noise; a row may go with any column."""
    ours, theirs = integers(40, 70), integers(40, 70)
    chosen = Chosen((0, 1, 2), (0, 1, 2))
    backend.accumulate(ours, Change(HERE, (9, -200, 31), 7, "screened", chosen=chosen))
    backend.accumulate(theirs, change_of([9, -200, 31], step=7))
    assert torch.equal(ours, theirs)
    moved = torch.zeros(40, 70, dtype=torch.int32)
    crossed = Change(HERE, (1,), 1, "screened", chosen=Chosen((16000,), (3,)))
    backend.accumulate(moved, crossed)
    rows = reference.chosen_signs(HERE, Span(ROWS, 40), [16000])[0]
    columns = reference.signs(HERE, Span(COLUMNS, 70), pairs=4)[3]
    assert torch.equal(moved, torch.outer(rows, columns).int())


def test_told_factors_move_by_their_product(backend: Backend) -> None:
    """K += step · c · a bᵀ in units of 2⁻¹², rounded, halves away from zero, either way."""
    moved = torch.zeros(2, 3, dtype=torch.int32)
    rows, columns = torch.tensor([[31, -8]]), torch.tensor([[31, 8, 0]])
    told = Factors(rows.to(torch.int8), columns.to(torch.int8))
    backend.accumulate(moved, Change(HERE, (255,), 32, "directed", factors=told))
    assert moved.tolist() == [[1914, 494, 0], [-494, -128, 0]]  # of 1914.49, 494.06, 127.5
    back = Change(HERE, (255,), -32, "directed", factors=told)
    backend.accumulate(moved, back)
    assert not bool(moved.any())


def test_factors_of_another_tensor_are_refused(backend: Backend) -> None:
    """What was found for a tensor of one shape is not added to another."""
    with pytest.raises(ValueError, match="another tensor"):
        backend.accumulate(
            torch.zeros(3, 4, dtype=torch.int32),
            change_of([1], step=1, noise="directed", shape=(4, 3)),
        )


def test_a_mask_of_another_shape_is_refused(backend: Backend) -> None:
    """A mask that does not fit would freeze the wrong units."""
    master, wrong = torch.zeros(3, 4, dtype=torch.int32), Frozen(torch.ones(4, dtype=torch.int8))
    with pytest.raises(ValueError, match="mask of rows"):
        backend.accumulate(master, change_of([1], step=1, frozen=wrong))
    with pytest.raises(ValueError, match="mask of rows"):
        backend.full_member(torch.zeros(3, 4), MemberNoise(HERE, 0, frozen=wrong), 0)


@laws
@given(rows=sizes, columns=sizes, dtype=st.sampled_from(DTYPES), exponent=st.integers(-24, -10))
def test_weights_equal_the_reference(
    backend: Backend,
    reference: Backend,
    rows: int,
    columns: int,
    dtype: torch.dtype,
    exponent: int,
) -> None:
    """The last rounding has the reference's bits in every dtype."""
    base, master = weights_of(rows, columns, dtype=dtype), integers(rows, columns, bound=2**21)
    ours = backend.materialise(base, master, exponent=exponent)
    assert same_bytes(ours.cpu(), reference.materialise(base, master, exponent=exponent))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_master_of_zeros_is_the_base_byte_for_byte(backend: Backend, dtype: torch.dtype) -> None:
    """Even −0.0 keeps its sign, and the smallest numbers their bits."""
    tiny = torch.finfo(dtype).smallest_normal
    base = torch.tensor([[-0.0, 0.0, 1.5, tiny / 2, -tiny]]).to(dtype)
    master = torch.zeros(1, 5, dtype=torch.int32)
    assert same_bytes(backend.materialise(base, master, exponent=-18).cpu(), base)


@pytest.mark.parametrize("exponent", [-126, -30, 0])
@pytest.mark.parametrize("bound", [2**12, 2**31 - 1])
def test_the_last_rounding_is_float64_then_float32_then_the_dtype(
    backend: Backend, bound: int, exponent: int
) -> None:
    """The stated sequence of roundings, in torch's own words, over all magnitudes there are."""
    base = weights_of(50, 300) * 2.0 ** (20 * weights_of(50, 300, seed=1)).round()
    base[0, :4] = torch.tensor([-0.0, 0.0, 2.0**-149, -(2.0**-126)])
    master = integers(50, 300, bound=bound)
    edges = torch.tensor([0, 1, -1, 2**24 - 1, 2**24, -(2**24), 2**31 - 1, -(2**31)])
    master[1:9, 7] = edges.clamp(-bound, bound).int()
    base[2:30, 8] = -(master[2:30, 8].double() * 2.0**exponent).float()  # sums that cancel
    stated = (base.double() + master.double() * 2.0**exponent).float()
    stated = torch.where(master == 0, base, stated)
    assert same_bytes(backend.materialise(base, master, exponent=exponent).cpu(), stated)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # Triton's interpreter: NumPy
@pytest.mark.parametrize(
    ("dtype", "exponent", "value"),
    [
        (torch.float32, 100, 2**30),
        (torch.float16, -10, 2**30),
        (torch.bfloat16, 100, -(2**30)),
        (torch.float32, 0, 0),
    ],
)
def test_weights_that_are_not_finite_are_refused(
    backend: Backend, dtype: torch.dtype, exponent: int, value: int
) -> None:
    """Overflow in any cast, or a base that is not a number, never becomes a version."""
    base = torch.zeros(3, 3, dtype=dtype)
    base[1, 1] = float("nan") if value == 0 else 1.0
    master = torch.zeros(3, 3, dtype=torch.int32)
    master[2, 2] = value
    with pytest.raises(ExplodedError, match="finite"):
        backend.materialise(base, master, exponent=exponent)


def test_weights_of_another_dtype_are_refused(backend: Backend) -> None:
    """The last rounding is defined for three dtypes only."""
    with pytest.raises(ValueError, match="float64"):
        backend.materialise(
            torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.int32), exponent=0
        )


@laws
@given(cut=st.integers(0, 23), value=st.integers(-(2**31), 2**31 - 1), place=st.integers(0, 23))
def test_a_digest_sees_values_and_places(
    backend: Backend, cut: int, value: int, place: int
) -> None:
    """Changing or moving an element changes the digest; the shape does not."""
    master = integers(4, 6)
    before = backend.digest(master)
    assert backend.digest(master.view(6, 4)) == before
    changed = master.clone().view(-1)
    changed[place] = value
    assert (backend.digest(changed.view(4, 6)) == before) == (
        changed[place] == master.view(-1)[place]
    )
    rolled = master.view(-1).roll(cut).view(4, 6)
    assert (backend.digest(rolled) == before) == (cut == 0)


def test_a_digest_is_the_golden_one(backend: Backend) -> None:
    """Recipes of the first release stay valid."""
    ramp = (torch.arange(33 * 77) * 2654435761 % 2**32 - 2**31).to(torch.int32).view(33, 77)
    assert f"{backend.digest(ramp):016x}" == "cbc5fa32325fa1b3"


@laws
@given(
    rows=sizes,
    columns=sizes,
    coefficients=coefficient_lists,
    dtype=st.sampled_from(DTYPES),
    noise=st.sampled_from(NOISES),
)
def test_advancing_is_the_three_steps_in_one(
    backend: Backend,
    reference: Backend,
    rows: int,
    columns: int,
    coefficients: list[int],
    dtype: torch.dtype,
    noise: Noise,
) -> None:
    """Integers, weights and digest of the one pass are those of update, rounding and digest."""
    base, frozen = weights_of(rows, columns, dtype=dtype), masks(rows, columns, len(coefficients))
    ours, theirs = (integers(rows, columns, bound=2**21) for _ in range(2))
    change = change_of(coefficients, noise=noise, frozen=frozen, shape=(rows, columns))
    weights, digest = backend.advance(ours, base, change, exponent=-18)
    reference.accumulate(theirs, change)
    assert torch.equal(ours, theirs)
    assert digest == reference.digest(theirs)
    assert same_bytes(weights.cpu(), reference.materialise(base, theirs, exponent=-18))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fault", ["int32", "finite"])
def test_advancing_into_a_fault_changes_nothing(
    backend: Backend, dtype: torch.dtype, fault: str
) -> None:
    """Whether an integer wraps or a weight overflows, the master is as before."""
    base, master = weights_of(40, 50, dtype=dtype), integers(40, 50, bound=2**20)
    if fault == "int32":
        master[:] = torch.where(integers(40, 50, seed=1) > 0, 2**31 - 9, -(2**31) + 9)
    else:
        base[7, 9] = float("inf")
    before = master.clone()
    with pytest.raises(ExplodedError, match=fault):
        backend.advance(master, base, change_of([200]), exponent=-18)
    assert torch.equal(master, before)


@laws
@given(
    members=st.integers(1, 6),
    tokens=st.integers(1, 9),
    rows=sizes,
    columns=sizes,
    shared=st.booleans(),
    bias=st.booleans(),
)
def test_member_linear_agrees_with_the_reference(
    backend: Backend,
    reference: Backend,
    members: int,
    tokens: int,
    rows: int,
    columns: int,
    shared: bool,
    bias: bool,
) -> None:
    """Members of one layer, with own or common input, agree within float32 rounding."""
    x = weights_of(1 if shared else members, tokens, columns, seed=1)
    a, b = factors(members, rows, columns)
    arguments = (x, PlainLayer(weights_of(rows, columns), weights_of(rows) if bias else None), a, b)
    ours = backend.member_linear(*arguments, sigma_log2=-2).cpu()
    theirs = reference.member_linear(*arguments, sigma_log2=-2)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


def factors(members: int, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Return factors with zeros in them, as frozen units have."""
    a, b = weights_of(members, rows, seed=2), weights_of(members, columns, seed=3)
    return a.round().clamp(-1, 1).to(torch.int8), b.round().clamp(-1, 1).to(torch.int8)


def test_member_linear_is_the_layer_of_the_written_member(backend: Backend) -> None:
    """y_m equals a plain linear layer with W + 2^s a_m b_mᵀ."""
    x, weight, a, b, expected = written_members()
    torch.testing.assert_close(
        backend.member_linear(x, PlainLayer(weight), a, b, sigma_log2=-3).cpu(),
        expected,
        rtol=1e-5,
        atol=1e-4,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_member_linear_in_half_precision(backend: Backend, dtype: torch.dtype) -> None:
    """Half-precision layers give their own dtype, within its rounding."""
    if backend.name == "triton" and dtype == torch.bfloat16 and not torch.cuda.is_available():
        pytest.skip("Triton's interpreter reads bfloat16 inputs of a product as float16")
    x, weight, a, b, expected = written_members()
    layer = PlainLayer(weight.to(dtype))
    half = backend.member_linear(x.to(dtype), layer, a, b, sigma_log2=-3).cpu()
    assert half.dtype == dtype
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.25)


def written_members() -> tuple[Tensor, ...]:
    """Return inputs, weight, factors, and what plain layers with the written members give."""
    x, weight = weights_of(3, 5, 64, seed=1), weights_of(48, 64)
    a, b = factors(3, 48, 64)
    written = weight + 2.0**-3 * a[:, :, None].float() * b[:, None, :].float()
    return x, weight, a, b, torch.einsum("mti,moi->mto", x, written)


@laws
@given(
    members=st.lists(st.integers(-1, 79), min_size=1, max_size=9),
    rows=sizes,
    columns=sizes,
    masked=st.booleans(),
    bias=st.booleans(),
)
def test_rows_of_any_members_share_a_batch(
    backend: Backend,
    reference: Backend,
    members: list[int],
    rows: int,
    columns: int,
    masked: bool,
    bias: bool,
) -> None:
    """Each row gets the layer of its own member, −1 the base's, within float32 rounding."""
    x, weight = weights_of(len(members), columns, seed=1), weights_of(rows, columns)
    frozen = masks(rows, columns, len(members)) if masked else NOTHING_FROZEN
    ours, theirs = (
        one.rows_linear(
            x, weight, weights_of(rows) if bias else None, torch.tensor(members),
            one.pair_factors(HERE, (rows, columns), pairs=40, frozen=frozen),
            sigma_log2=-2,
        ).cpu()
        for one in (backend, reference)
    )  # fmt: skip
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)
    for row, member in enumerate(members):
        if member < 0 and not bias:
            torch.testing.assert_close(ours[row], x[row] @ weight.T, rtol=1e-5, atol=1e-4)


@laws
@given(tokens=st.integers(1, 300), units=sizes, mean=st.sampled_from([0.0, 1e3]))
def test_moments_agree_with_the_reference(
    backend: Backend, reference: Backend, tokens: int, units: int, mean: float
) -> None:
    """One pass gives the variance of two, even where the mean is a thousand deviations."""
    x = weights_of(tokens, units) + mean
    ours, theirs = backend.moments(x), reference.moments(x)
    torch.testing.assert_close(ours[0].double().cpu(), theirs[0], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours[1].double().cpu(), theirs[1], rtol=1e-3, atol=1e-3)


@laws
@given(tokens=st.integers(0, 9), width=sizes, vocabulary=sizes)
def test_token_logprobs_agree_with_the_reference(
    backend: Backend, reference: Backend, tokens: int, width: int, vocabulary: int
) -> None:
    """Scores without logits are the scores with them, within float32 rounding."""
    hidden, head = weights_of(tokens, width), weights_of(vocabulary, width, seed=1)
    targets = torch.arange(tokens) % vocabulary
    torch.testing.assert_close(
        backend.token_logprobs(hidden, head, targets).cpu(),
        reference.token_logprobs(hidden, head, targets),
        rtol=1e-5,
        atol=1e-4,
    )


def test_token_logprobs_over_many_blocks_agree_with_log_softmax(backend: Backend) -> None:
    """More tokens and vocabulary than one block, with logits that would overflow exp."""
    hidden, head = weights_of(270, 16) * 30, weights_of(5001, 16, seed=1)
    targets = torch.arange(270) * 18
    expected = torch.log_softmax((hidden @ head.T).double(), dim=1)[torch.arange(270), targets]
    ours = backend.token_logprobs(hidden, head, targets).cpu()
    assert torch.isfinite(ours).all()
    torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-3)


def test_top_tokens_agree_with_sorting(backend: Backend) -> None:
    """The best tokens over many blocks, with their log-probabilities, best first."""
    hidden, head = weights_of(20, 16), weights_of(9001, 16, seed=1)
    expected = torch.log_softmax((hidden @ head.T).double(), dim=1).topk(5, dim=1)
    scores, ids = backend.top_tokens(hidden, head, 5)
    assert torch.equal(ids.cpu(), expected.indices)
    torch.testing.assert_close(scores.cpu().double(), expected.values, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 4])
def test_each_gives_the_results_in_order(backend: Backend, threads: int) -> None:
    """Whoever does which, and work that asks for work itself does not wait for itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        masters = [integers(40, 900, seed=n) for n in range(6)]
        expected = [backend.digest(master) for master in masters]
        assert backend.each(backend.digest, masters) == expected

        def nested(number: int) -> list[int]:
            inner = backend.each(backend.digest, masters[number:])
            return [*inner, backend.digest(masters[0])]

        assert backend.each(nested, range(5)) == [[*expected[n:], expected[0]] for n in range(5)]
        assert backend.each(backend.digest, []) == []
    finally:
        torch.set_num_threads(before)


def test_each_raises_the_first_failure_when_all_have_ended(backend: Backend) -> None:
    """What one item raises keeps no other from being done, on backends that do many at once."""

    def work(number: int) -> int:
        if number in (3, 5):
            raise ExplodedError(f"number {number}")
        return number

    with pytest.raises(ExplodedError, match="number 3"):
        backend.each(work, range(9))
    assert backend.each(work, [1, 2]) == [1, 2]
