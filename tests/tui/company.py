"""The files of the busy workspace: its settings, its domains, what they declare and the cartridges that work in them."""

from __future__ import annotations

SETTINGS = """\
[members.ada]
role = "admin"
[members.bob]
role = "member"
domains = ["ops"]
[members.eve]
role = "member"
domains = ["sales", "care"]

[trust]
rules = [{ source = "forum-*", verdict = "quarantine" }]

[autonomy]
default = "L3"
after   = 0
[autonomy.domains]
sales = "L2"
[autonomy.types]
"domain.ops.failed" = "L1"
"domain.care.**"    = "L1"

[correlation]
burst    = 0
cascade  = 0
degraded = 0

[enable]
tally = {}
"""

_OPS = """\
namespace = "domain.ops"
[lives.alert]
key = ["host", "check"]
title = "{host}: {check} is at {value}"
[types."alert.fired"]
summary = "A machine is in trouble."
level = "business"
actionable = true
failure = true
payload = { host = "str", check = "str", value = "int" }
lives = { alert = "opens" }
actions = { restart = { summary = "Restart the machine", emits = "restart.asked" }, mute = { summary = "Look away for a day", emits = "muted" } }
[types."alert.cleared"]
summary = "A machine is well again."
payload = { host = "str", check = "str", value = "int" }
lives = { alert = "resolves" }
[types."restart.asked"]
summary = "Somebody wants a restart."
[types.muted]
summary = "Somebody looks away."
[lives.deploy]
key = ["slug"]
title = "Deployment of {slug} failed"
[types.failed]
summary = "A deployment failed."
level = "workflow"
actionable = true
failure = true
payload = { slug = "str" }
lives = { deploy = "opens" }
[lives.notice]
key = ["what"]
title = "{what}"
[types.noticed]
summary = "Something is odd about a machine."
level = "operational"
payload = { what = "str" }
lives = { notice = "opens" }
[types.silent]
summary = "Somebody who is on call does not answer."
payload = { who = "str" }
[types.probe]
summary = "A probe has answered."
payload = { number = "int" }
"""

_SALES = """\
namespace = "domain.sales"
[lives.order]
key = ["order"]
title = "Order {order}: {why}"
[types."order.stuck"]
summary = "An order does not go on."
level = "business"
actionable = true
payload = { order = "int", why = "str", basket = "object?", customer = "object?", total = "float?" }
lives = { order = "opens" }
actions = { release = { summary = "Let it go on", emits = "order.released" } }
[types."order.released"]
summary = "An order goes on."
[types."order.refunded"]
summary = "The money is given back."
[lives.lead]
key = ["name"]
title = "{name} wants to hear from us"
[types."lead.came"]
summary = "Somebody may want to buy."
level = "workflow"
payload = { name = "str", size = "int" }
lives = { lead = "opens" }
[types."stock.low"]
summary = "There is little left of something."
[types."invoice.late"]
summary = "Somebody has not paid."
[types."till.rang"]
summary = "Something was sold."
"""

_CARE = """\
namespace = "domain.care"
[lives.ticket]
key = ["ticket"]
title = "{subject}"
[types."ticket.opened"]
summary = "A customer writes."
level = "workflow"
payload = { ticket = "int", subject = "str" }
lives = { ticket = "opens" }
[types."spam.seen"]
summary = "Somebody sends too much."
[types."sender.blocked"]
summary = "Nothing of theirs is read any more."
"""


def _rule(id_: str, summary: str, consumes: str, rest: str, **more: str) -> str:
    head = "".join(f'{name} = "{value}"\n' for name, value in more.items())
    return f'id = "{id_}"\nsummary = "{summary}"\nconsumes = ["{consumes}"]\n{head}{rest}'


_MEASURE = """\
# /// cartridge
# id        = "measure"
# summary   = "Says how bad an alert is."
# consumes  = ["domain.ops.alert.fired", "job.failed"]
# annotates = ["badness"]
# ///
async def process(event, context):
    if event.payload.get("job") in ("sweep", "reindex"):
        raise KeyError(f"no figure for {event.payload['job']}")
    context.annotate("badness", event.payload.get("value", 0))
    return event
"""

_TALLY = """\
# /// cartridge
# id       = "tally"
# version  = "1.4.0"
# summary  = "Counts what comes in, by source."
# consumes = ["job.**", "domain.**"]
# [settings]
# most = { type = "int", default = 100, help = "How many sources are counted." }
# ///
async def process(event, context):
    return event
"""

FILES = {
    "company/domains/ops/domain.toml": 'summary = "Machines, and what runs on them."\n',
    "company/domains/ops/event_types.toml": _OPS,
    "company/domains/ops/cartridges/measure.py": _MEASURE,
    "company/domains/ops/cartridges/rollback.toml": _rule(
        "rollback", "Rolls back what failed.", "domain.ops.failed",
        '[propose]\naction = "rollback"\nsummary = "Roll {payload.slug} back"\ncommand = ["echo", "rolled back", "{payload.slug}"]\n'
        'undo = ["echo", "forward again"]\n',
    ),
    "company/domains/ops/cartridges/ring.toml": _rule(
        "ring", "Rings who is on call.", "domain.ops.silent",
        '[propose]\naction = "ring"\nsummary = "Ring {payload.who}"\ncommand = ["false", "{payload.who}"]\n',
    ),
    "company/domains/ops/cartridges/one-cluster.toml": _rule(
        "one-cluster", "Gathers what the web servers say.", "domain.ops.alert.fired",
        '[group]\nby = ["payload.check"]\ntitle = "Web servers: {payload.check}"\n', when="payload.host.startsWith('web-')",
    ),
    "company/domains/ops/cartridges/odd-probes.toml": _rule(
        "odd-probes", "Tells of probes that answer oddly.", "domain.ops.probe",
        '[notify]\ntitle = "A probe answers {payload.answer}"\n', when="payload.answer.code > 200",
    ),
    "company/domains/ops/cartridges/twice.toml": _rule(
        "twice", "Says so when a job fails twice.", "job.failed",
        '[window]\nkind = "threshold"\ncount = 2\nwithin = "1h"\nper = ["payload.job"]\n[notify]\ntitle = "{payload.job} fails again"\n',
        mode="shadow",
    ),
    "company/domains/sales/domain.toml": 'summary = "What is sold, and to whom."\n',
    "company/domains/sales/event_types.toml": _SALES,
    "company/domains/sales/cartridges/reorder.toml": _rule(
        "reorder", "Orders what runs low.", "domain.sales.stock.low",
        '[propose]\naction = "reorder"\nsummary = "Order ten of {payload.sku}"\ncommand = ["echo", "ordered", "{payload.sku}"]\n'
        'undo = ["echo", "cancelled", "{payload.sku}"]\n',
    ),
    "company/domains/sales/cartridges/remind.toml": _rule(
        "remind", "Reminds who has not paid.", "domain.sales.invoice.late",
        '[propose]\naction = "remind"\nsummary = "Remind {payload.name} of invoice {payload.invoice}"\n'
        'command = ["echo", "reminded", "{payload.name}"]\n',
    ),
    "company/domains/care/domain.toml": 'summary = "What customers write, and what they are told."\n',
    "company/domains/care/event_types.toml": _CARE,
    "company/domains/care/cartridges/block.toml": _rule(
        "block", "Offers to block who sends too much.", "domain.care.spam.seen",
        '[propose]\naction = "block"\nsummary = "Block {payload.sender}"\nemits = "domain.care.sender.blocked"\n'
        'payload = { sender = "{payload.sender}" }\n',
    ),
    "personal/ada/cartridges/big-leads.toml": _rule(
        "big-leads", "Tells me of large leads.", "domain.sales.lead.came",
        '[notify]\ntitle = "{payload.name} is a large one"\nlevel = "business"\n', when="payload.size > 4",
    ),
    "cartridges/tally.py": _TALLY,
}  # fmt: skip
"""What stands in the workspace besides what `init` writes: path -> text."""
