"""The inbox at different sizes: a page must take the same whatever lies behind it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import workload
from bench.figures import Figure, figure, seconds
from eventctl.notification import MemberView, Notification
from eventctl.sqlite_store import SqliteStore
from eventctl.store import Operations
from eventctl.views import InboxFilter, InboxPage

SMALL = 1_000
LARGE = 100_000
FULL = 1_000_000
PAGE = 50
COMMIT = 5_000
LOOKS = 51
START = 1_767_614_400_000_000
SEEN_EVERY = 3
DOMAINS = 10


def measure(rounds: int, size: int = LARGE) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="eventctl-bench-") as folder:
        small = filled(Path(folder) / "small" / "state.db", SMALL)
        large = filled(Path(folder) / "large" / "state.db", size)
        figures = []
        for name, look in LOOKED_AT.items():
            looks = [(look(small, SMALL), look(large, size)) for _ in range(rounds)]
            detail = f"last: {1e3 * looks[-1][1]:.2f} ms"
            ratios = [many / few for few, many in looks]
            title = f"inbox list at {size:,} notifications against {SMALL:,}, {name}"
            figures.append(figure(title, ratios, "x", must=2, aim=1.2, lower_is_better=True, detail=detail))
        small.close()
        large.close()
    return figures


def measure_full(rounds: int) -> list[Figure]:
    return measure(rounds, FULL)


def filled(path: Path, count: int) -> SqliteStore:
    """A store with so many open notifications, all levels and ten domains, a third of them seen by one member."""
    store = SqliteStore.create(path, role="runner", checkpointer=True, reserve_bytes=0)
    for start in range(1, count + 1, COMMIT):
        numbers = range(start, min(start + COMMIT, count + 1))
        opened = [notification(number) for number in numbers]
        seen = [MemberView("ada", number, 1) for number in numbers if number % SEEN_EVERY == 0]
        store.commit(Operations(opened=opened, member_views=seen))
    store.checkpoint()
    store.close()
    found = SqliteStore.open(path, role="reader")
    if found.views.counts().notifications_open != count:
        raise RuntimeError(f"expected {count} notifications, found {found.views.counts().notifications_open}")
    return found


def notification(number: int) -> Notification:
    at = START + number * 1_000_003 % 7_919_000_000
    return Notification(
        number, "bench.alert", f'["{number}"]', "workspace", number % 4, f"domain-{number % DOMAINS}",
        workload.TYPES[number % 4], f"service/{number % 500}", f"Alert {number} of the benchmark", number % 2 == 0,
        number, number, at, at,
    )  # fmt: skip


def first_page(store: SqliteStore, _: int) -> float:
    return looked(lambda: store.views.inbox(InboxFilter(member="ada"), limit=PAGE))


def far_page(store: SqliteStore, count: int) -> float:
    """The page that begins in the middle."""
    *_, token = half_way(store, count)
    return looked(lambda: store.views.inbox(InboxFilter(member="ada"), limit=PAGE, after=token))


def filtered_page(store: SqliteStore, _: int) -> float:
    """One domain of ten, what this member has not seen."""
    want = InboxFilter(domains=("domain-3",), member="ada", unseen=True)
    return looked(lambda: store.views.inbox(want, limit=PAGE))


LOOKED_AT: dict[str, Callable[[SqliteStore, int], float]] = {
    "first page": first_page,
    "a page from the middle": far_page,
    "unseen of one domain": filtered_page,
}


def half_way(store: SqliteStore, count: int) -> Iterator[str]:
    token, passed = "", 0
    while passed < count // 2:
        page = store.views.inbox(InboxFilter(), limit=COMMIT if count > SMALL else PAGE, after=token)
        token, passed = page.next, passed + len(page.items)
        yield token


def looked(look: Callable[[], InboxPage]) -> float:
    """Median seconds for a page, which must be full."""
    if len(look().items) != PAGE:
        raise RuntimeError(f"a page of {len(look().items)} items")
    return statistics.median(seconds(look) for _ in range(LOOKS))
