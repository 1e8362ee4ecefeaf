"""Times between tokens are counted as Prometheus's own histogram counts them."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from agent.watch.gaps import BOUNDS, Gaps

NAME, TEXT, LABELS = "quickset_inter_token_seconds", "Gap.", ("line", "member")
WAITS_S = st.sampled_from([0.0, 0.004, *BOUNDS, 7.5]) | st.floats(0, 10)
SEEN = st.tuples(st.sampled_from(["main", "other"]), st.sampled_from(["true", "false"]))


@given(seen=st.lists(st.tuples(SEEN, st.lists(WAITS_S, max_size=5)), max_size=5))
def test_a_scrape_reads_what_the_library_would_have_written(
    seen: list[tuple[tuple[str, str], list[float]]],
) -> None:
    """The same text to the byte, whatever was seen, with what lies on a bound up to it."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    gaps = Gaps(NAME, TEXT, LABELS)
    ours.register(gaps)
    library = Histogram(NAME, TEXT, LABELS, buckets=BOUNDS, registry=theirs)
    for labels, waits_s in seen:
        gaps.observe(labels, waits_s)
        for wait_s in waits_s:
            library.labels(*labels).observe(wait_s)
        library.labels(*labels)
    created = (b"_created",)
    told = [
        each for each in generate_latest(theirs).splitlines() if not any(c in each for c in created)
    ]
    assert generate_latest(ours).splitlines() == told
