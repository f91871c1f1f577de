"""How a cartridge comes in, moves on and goes: install, promote, remove, roll back, trust. Nothing of it is executed here.

    stage       a folder, a file, an archive or `pip:NAME` is read into memory
    propose     what would be done, judged and tried on paper: this is what a person is shown
    carry_out   ONE durable commit: the package, what is installed, the decision, and the record of who did it
    ask         the same, held for an admin: `decisions approve` carries it out through `perform`

Who may is asked here and nowhere else; the verb's object is the place: `library`, `domain:<name>`, `member:<name>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from eventctl import decisions, failpoints, package
from eventctl.autonomy import Ruling
from eventctl.errors import Conflict, NotFound, NotPermitted, UsageError
from eventctl.ids import uuid7
from eventctl.installed import VERSION, scope_of, unit_path
from eventctl.package import Package
from eventctl.principal import Principal, allowed
from eventctl.store import DecisionRow, InstalledRow, Keys, Operations, Record, Store, Unit

if TYPE_CHECKING:
    from eventctl.autonomy import Autonomy
    from eventctl.guardian import Verdict

Do = Literal["install", "promote", "remove", "rollback", "trust"]

RIGHTS: Mapping[Do, str] = {
    "install": "install",
    "promote": "promote",
    "remove": "remove",
    "rollback": "install",
    "trust": "trust",
}
"""What is done -> the verb behind `cartridge.` that it takes; a version from before is brought in like any other."""

DONE: Mapping[Do, str] = {
    "install": "cartridge.installed", "promote": "cartridge.promoted", "remove": "cartridge.removed",
    "rollback": "cartridge.rolled_back", "trust": "cartridge.trusted",
}  # fmt: skip
"""What is done -> the type of the record that says so."""

TRIES_MAX = 8
WHY_HELD = "what changes the workspace itself is decided by an admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Something that may be done. `before` is what is active in the place now, `after` what would be (None: nothing).

    `left` is the row that a promotion takes it from. `package` is what has to be stored. `verdict` is the guardian's, `backtest` the
    report of one, both as JSON stands in the decision. `gone` removes the versions of the place for good. `carried` is where the
    files of a local cartridge went, from and to; then nothing is installed, and `call` names the decision, once.
    """

    do: Do
    place: str
    id: str
    version: str
    digest: str
    before: InstalledRow | None = None
    after: InstalledRow | None = None
    left: InstalledRow | None = None
    package: Package | None = None
    verdict: Verdict | None = None
    backtest: Mapping[str, Any] | None = None
    gone: tuple[InstalledRow, ...] = ()
    carried: tuple[str, str] | None = None
    call: str = ""


class Done(NamedTuple):
    """What was done, or asked for: the number of the decision, of its record (0: it waits), and whether it waits for an admin."""

    decision: int
    seq: int
    held: bool = False


def permit(who: Principal, do: Do, place: str) -> None:
    """Raises `NotPermitted` unless `who` may do that in the place. The one place that asks."""
    if not allowed(who, f"cartridge.{RIGHTS[do]}", place):
        what = f"{who} may not {spoken(do)} a cartridge in {place}"
        raise NotPermitted(what, hint="an admin may, at the command line; --ask leaves it for one to approve")


def permit_asking(who: Principal) -> None:
    """Raises `NotPermitted` unless `who` may leave something for an admin to decide: members may, agents may not."""
    if who.channel != "cli" or not allowed(who, "operate"):
        raise NotPermitted(f"{who} may not ask for a change of the workspace", hint="a member may, at the command line")


def spoken(do: Do) -> str:
    """What is done, as a verb in a sentence."""
    return {"rollback": "roll back"}.get(do, do)


# --- what would be done --------------------------------------------------------------------------------------------------------


def installing(store: Store, given: Package, place: str, origin: str, *, who: Principal, now: int) -> Proposal:
    """Bring a package into a place. A digest that an admin trusted here stays trusted."""
    rows = _rows(store, place, given.id)
    known = next((row for row in rows if row.digest == given.digest), None)
    runs = known.runs if known else "worker"
    after = InstalledRow(place, given.id, given.manifest.version, given.digest, True, runs, origin, str(who), _at(rows, now))
    return _proposal("install", after, rows, package=given)


def promoting(store: Store, place: str, id_: str, to: str, *, who: Principal, now: int) -> Proposal:
    """Move what is installed and active in `place` to more people. Trust goes with the digest."""
    row = active(store, place, id_)
    rows = _rows(store, to, id_)
    after = row._replace(place=to, by=str(who), at=_at(rows, now))
    return replace(_proposal("promote", after, rows), left=row)


def carrying(place: str, given: Package, source: str, target: str, call: str) -> Proposal:
    """The files of a local cartridge, which go from `source` to `target`. `call` is the same however often that is done."""
    return Proposal(
        do="promote",
        place=place,
        id=given.id,
        version=given.manifest.version,
        digest=given.digest,
        carried=(source, target),
        call=call,
    )


def removing(store: Store, place: str, id_: str, *, for_good: bool = False) -> Proposal:
    """Take away what is installed in a place. Its versions stay, for a rollback, unless it is `for_good`."""
    rows = _rows(store, place, id_)
    before = _active(rows)
    shown = before or (rows[-1] if rows and for_good else None)
    if shown is None:
        raise _nothing(store, place, id_)
    return Proposal(
        do="remove",
        place=place,
        id=id_,
        version=shown.version,
        digest=shown.digest,
        before=before,
        gone=tuple(rows) if for_good else (),
    )


def rolling_back(store: Store, place: str, id_: str, *, to: str = "", who: Principal, now: int) -> Proposal:
    """Make the version active that was so before, or the one that `to` names: a version, or the beginning of a digest."""
    rows = _rows(store, place, id_)
    if not rows:
        raise _nothing(store, place, id_)
    others = [row for row in rows if not row.active]
    after = _named(others, id_, to, len(rows)) if to else others[-1] if others else None
    if after is None:
        what = f"{id_} has no version from before in {place}"
        raise NotFound(what, hint=f"`eventctl cartridge list --versions` shows {len(rows)} of it")
    return _proposal("rollback", after._replace(active=True, by=str(who), at=_at(rows, now)), rows)


def version(store: Store, place: str, id_: str, named: str) -> InstalledRow:
    """The version of a cartridge in a place, active or kept, that a version or the beginning of a digest names. Raises `NotFound`."""
    rows = _rows(store, place, id_)
    if not rows:
        raise _nothing(store, place, id_)
    return _named(rows, id_, named, len(rows))


def _named(rows: list[InstalledRow], id_: str, named: str, known: int) -> InstalledRow:
    digest = named.removeprefix("sha256:")
    found = [row for row in rows if named == row.version or row.digest.removeprefix("sha256:").startswith(digest)]
    if not found:
        hint = f"`eventctl cartridge list --versions` shows {known} of it"
        raise NotFound(f"{id_} has no version {named!r} here", hint=hint)
    if len({row.digest for row in found}) > 1:
        digests = ", ".join(short(row.digest) for row in found)
        raise UsageError(f"{named} is {len(found)} versions of {id_}: {digests}", hint="name one by its digest")
    return found[-1]


def trusting(store: Store, place: str, id_: str, *, revoke: bool = False) -> Proposal:
    """Let the active version run inside the runner; or, with `revoke`, in a worker again."""
    row = active(store, place, id_)
    runs = "worker" if revoke else "in-process"
    if row.runs == runs:
        raise Conflict(
            f"{id_} {row.version} runs {'in a worker' if revoke else 'inside the runner'} already", where=unit_path(place, id_)
        )
    return _proposal("trust", row._replace(runs=runs), [row])


def active(store: Store, place: str, id_: str) -> InstalledRow:
    """What is installed and active in a place. Raises `NotFound`."""
    row = _active(_rows(store, place, id_))
    if row is None:
        raise _nothing(store, place, id_)
    return row


def places(store: Store, id_: str) -> list[str]:
    """The places that have, or had, a cartridge of this id, those where it is active first."""
    rows = [row for row in store.installed() if row.id == id_]
    return list(dict.fromkeys(row.place for row in sorted(rows, key=lambda row: not row.active)))


def short(digest: str) -> str:
    """A digest as people are shown it."""
    return digest.removeprefix("sha256:")[:12]


def stored(store: Store, digest: str) -> Package:
    """A package out of the store, its bytes verified. Raises BadPackage, `NotFound`."""
    body = store.package(digest)
    if body is None:
        raise NotFound(f"the files of {short(digest)} are not here any more", hint="install them again")
    return package.unpack(body, digest)


# --- doing it ------------------------------------------------------------------------------------------------------------------


def carry_out(store: Store, proposal: Proposal, *, who: Principal, now: int) -> Done:
    """Do it, in one durable commit. Raises `NotPermitted`, and `Conflict` when what stands there is not what was proposed over."""
    permit(who, proposal.do, proposal.place)
    known = store.snapshot(Keys(decisions=[proposal.call])).decisions if proposal.call else {}
    if known:
        return Done(known[proposal.call].number, 0)

    def plan(number: int) -> Operations:
        out = _operations(proposal, number, who, now)
        out.decisions.append(_row(proposal, number, who, now))
        return out

    return Done(*_committed(store, proposal, plan))


def ask(store: Store, proposal: Proposal, *, who: Principal, now: int, terms: Autonomy) -> Done:
    """Leave it for an admin, with the files beside it. Raises `NotPermitted` for who may not even ask."""
    permit_asking(who)
    if proposal.carried:
        raise UsageError("files are promoted by an admin, at once", hint="an admin leaves out --ask")
    scope, owner = scope_of(proposal.place)
    body = {**_words(proposal), "by": str(who), "cartridge": proposal.id}

    def plan(number: int) -> Operations:
        wish = decisions.Wish(
            uuid7(now), RIGHTS[proposal.do], f"{proposal.do}:{proposal.place}/{proposal.id}", "", 0,
            owner if scope == "domain" else "", owner if scope == "personal" else "", body, Ruling("L1", WHY_HELD),
        )  # fmt: skip
        out = decisions.ask(wish, 0, number, now, terms)
        out.packages += _packed(proposal)
        return out

    return Done(_committed(store, proposal, plan)[0], 0, held=True)


def _committed(store: Store, proposal: Proposal, plan: Callable[[int], Operations]) -> tuple[int, int]:
    """Commit what is planned for the next decision's number; that number, and the number of the first record."""
    for attempt in range(1, TRIES_MAX + 1):
        _unchanged(store, proposal)
        number = decisions.next_number(store)
        out = plan(number)
        failpoints.reach("lifecycle.before_commit")
        try:
            committed = store.commit(out, durable=True)
        except Conflict:
            if attempt == TRIES_MAX:
                raise
            continue
        failpoints.reach("lifecycle.after_commit")
        return number, committed.seqs[0]
    raise AssertionError("the last attempt returns or raises")


def perform(store: Store, row: DecisionRow, principal: Principal, now: int) -> Operations:
    """What a decision that was held does, for the commit that approves it. Its files are verified once more.

    Raises `NotPermitted`, and `Conflict` when what stands in the place is no longer what it was asked over.
    """
    body = orjson.loads(row.body)["args"]
    do: Do = body["do"]
    permit(principal, do, body["place"])
    proposal = _proposed(store, body)
    _unchanged(store, proposal)
    if proposal.after is not None:
        stored(store, proposal.digest)
        rows = _rows(store, proposal.place, proposal.id)
        proposal = replace(proposal, after=proposal.after._replace(at=_at(rows, now), decision=row.number))
    return _operations(proposal, row.number, principal, now)


def evidence(proposal: Proposal) -> dict[str, Any]:
    """What is done and what was known when it was decided: in the decision, and in the record."""
    before, after = proposal.before, proposal.after
    return {
        "do": proposal.do, "place": proposal.place, "id": proposal.id, "version": proposal.version, "digest": proposal.digest,
        "before": {"version": before.version, "digest": before.digest, "runs": before.runs} if before else None,
        "after": after._asdict() if after else None,
        "from": proposal.left.place if proposal.left else proposal.carried[0] if proposal.carried else None,
        "to": proposal.carried[1] if proposal.carried else None,
        "origin": after.origin if after else None, "runs": after.runs if after else None, "for_good": bool(proposal.gone),
        "guardian": proposal.verdict.as_json() if proposal.verdict else None, "backtest": proposal.backtest,
    }  # fmt: skip


# --- the commit ----------------------------------------------------------------------------------------------------------------


def _operations(proposal: Proposal, number: int, who: Principal, now: int) -> Operations:
    """All of it but the decision."""
    told = {**evidence(proposal), "verb": DONE[proposal.do], "decision": number}
    told["after"] = None
    record = Record("move", "move", uuid7(now), DONE[proposal.do], orjson.dumps(told), str(who), now, proposal.id)
    out = Operations(records=[record], packages=_packed(proposal), meta={VERSION: uuid7(now)})
    if proposal.carried:
        return out
    if proposal.left is not None:
        out.installed.append(proposal.left._replace(active=False))
    if proposal.after is not None:
        row = proposal.after
        out.installed.append(row._replace(decision=number) if proposal.do != "trust" else row)
    elif proposal.before is not None and not proposal.gone:
        out.installed.append(proposal.before._replace(active=False))
    out.uninstalled += [(row.place, row.id, row.digest) for row in proposal.gone]
    if proposal.do == "install":
        out.units.append(Unit(unit_path(proposal.place, proposal.id), 0, 0, 0, proposal.digest, b""))
    return out


def _row(proposal: Proposal, number: int, who: Principal, now: int) -> DecisionRow:
    scope, owner = scope_of(proposal.place)
    body = {**_words(proposal), "by": str(who), "cartridge": proposal.id, "level": "L1", "why": WHY_HELD}
    return DecisionRow(
        number, proposal.call or uuid7(now), "done", f"{proposal.do}:{proposal.place}/{proposal.id}", RIGHTS[proposal.do], "", 0,
        owner if scope == "domain" else "", owner if scope == "personal" else "", now,
        decided_by=str(who), decided_at=now, approved=True, body=orjson.dumps(body),
    )  # fmt: skip


def _words(proposal: Proposal) -> dict[str, Any]:
    """How the decision is put to people."""
    what = f"{spoken(proposal.do)} {proposal.id} {proposal.version}"
    where = f"from {proposal.left.place} to {proposal.place}" if proposal.left else f"in {proposal.place}"
    return {
        "action": proposal.do,
        "summary": f"{what} {where} ({short(proposal.digest)})",
        "args": evidence(proposal),
        "form": "install",
    }


def _packed(proposal: Proposal) -> list[tuple[str, bytes]]:
    return [(proposal.package.digest, package.pack(proposal.package))] if proposal.package else []


def _unchanged(store: Store, proposal: Proposal) -> None:
    if proposal.carried:
        return
    here = _active(_rows(store, proposal.place, proposal.id))
    left = _active(_rows(store, proposal.left.place, proposal.id)) if proposal.left else None
    if _key(here) != _key(proposal.before) or _key(left) != _key(proposal.left):
        what = f"{proposal.id} in {proposal.place} has changed since this was proposed"
        raise Conflict(what, hint=f"`eventctl cartridge show {proposal.id}` shows how it stands; propose it again")


def _key(row: InstalledRow | None) -> tuple[str, str] | None:
    return (row.digest, row.runs) if row else None


def _proposed(store: Store, body: Mapping[str, Any]) -> Proposal:
    """The proposal that a held decision keeps."""
    place, id_, do = body["place"], body["id"], body["do"]
    told = body["before"]
    before = None if told is None else InstalledRow(place, id_, told["version"], told["digest"], True, told["runs"], "", "", 0)
    here = _active(_rows(store, place, id_))
    before = here if before is not None and _key(here) == _key(before) else before
    after = InstalledRow(**body["after"]) if body["after"] else None
    left = _active(_rows(store, body["from"], id_)) if do == "promote" else None
    if do == "promote" and (left is None or left.digest != body["digest"]):
        raise Conflict(f"{id_} in {body['from']} has changed since this was proposed", hint="propose it again")
    gone = tuple(_rows(store, place, id_)) if body["for_good"] else ()
    return Proposal(
        do=do,
        place=place,
        id=id_,
        version=body["version"],
        digest=body["digest"],
        before=before,
        after=after,
        left=left,
        gone=gone,
    )


def _proposal(do: Do, after: InstalledRow, rows: list[InstalledRow], *, package: Package | None = None) -> Proposal:
    return Proposal(
        do=do,
        place=after.place,
        id=after.id,
        version=after.version,
        digest=after.digest,
        before=_active(rows),
        after=after,
        package=package,
    )


def _rows(store: Store, place: str, id_: str) -> list[InstalledRow]:
    """The versions of a cartridge in a place, in the order in which they were last made active."""
    return sorted((row for row in store.installed() if (row.place, row.id) == (place, id_)), key=lambda row: row.at)


def _active(rows: list[InstalledRow]) -> InstalledRow | None:
    return next((row for row in rows if row.active), None)


def _at(rows: list[InstalledRow], now: int) -> int:
    """Now, but after what was made active before, whatever the clock says: the order is what a rollback goes by."""
    return max([now, *(row.at + 1 for row in rows)])


def _nothing(store: Store, place: str, id_: str) -> NotFound:
    elsewhere = places(store, id_)
    hint = f"it is, or was, in {', '.join(elsewhere)}" if elsewhere else "`eventctl cartridge list` shows what is"
    return NotFound(f"no cartridge {id_!r} is installed in {place}", hint=hint)
