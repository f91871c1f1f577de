"""An envelope in the two forms that other systems speak, and back: a flat map of texts (Redis Streams) and CloudEvents 1.0.

These functions move fields; they judge only what must be understood to be moved. What comes in goes through `decode` afterwards.
An envelope here is its JSON object, where null means absent. Both forms carry fields that nobody knows, and in neither can these
stand in for a field that everybody knows.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from eventctl.decode import LIMITS
from eventctl.errors import Refused
from eventctl.event import FIELDS, SCHEMA_VERSION
from eventctl.patterns import is_type
from eventctl.strictjson import read

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTRA = "_extra"
"""The one key of the stream form that holds every field without a key of its own, as a JSON object."""

_NUMBERS = {"version": SCHEMA_VERSION, "level": None, "hops": 0}
_OBJECTS: dict[str, Any] = {"payload": {}, "actions": None, "resolution_shape": None}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)

SPECVERSION = "1.0"
_CORE = {"id": "id", "source": "source", "event": "type", "timestamp": "time", "entity": "subject"}
_EXTENSIONS = {
    "version": "ecversion", "idempotency_key": "eckey", "level": "eclevel", "domain": "ecdomain", "description": "ecdescription",
    "visibility": "ecvisibility", "terminal_when": "ecterminalwhen", "caused_by": "eccausedby", "hops": "echops", "trace": "ectrace",
}  # fmt: skip
_JSON_EXTENSIONS = {"actions": "ecactions", "resolution_shape": "ecresolutionshape"}
_MORE = "ecmore"
"""The extension that holds, as a JSON object, every field that fits no attribute."""

_JSON_MAX = 6 * LIMITS.bytes
"""A character may be escaped here that takes one byte in the envelope; the gate judges the size of that."""

_JSON_TYPE = "application/json"
_OURS = {*_CORE.values(), *_EXTENSIONS.values(), *_JSON_EXTENSIONS.values(), _MORE}
_KEPT = "cloudevent"
_RESERVED = _OURS | {"specversion", "data", "data_base64", "datacontenttype", "dataschema", _KEPT}
_NAME = re.compile(r"[a-z0-9]{1,20}", re.ASCII)
_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_NO_STRING = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
_URI_SAFE = "/:?#[]@!$&'()*+,;="
_URI = re.compile(r"(?:[A-Za-z0-9/:?#\[\]@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_INT32 = 2**31


def to_stream(envelope: Mapping[str, Any]) -> dict[str, str]:
    """Every known field under its own key, the others under `_extra`; nulls are empty, numbers decimal, objects JSON."""
    flat = {name: _flat(name, envelope.get(name)) for name in FIELDS}
    extra = {name: value for name, value in envelope.items() if name not in FIELDS}
    if extra:
        flat[EXTRA] = orjson.dumps(extra).decode()
    return flat


def _flat(name: str, value: Any) -> str:
    if value is None:
        value = _NUMBERS.get(name, _OBJECTS.get(name, ""))
    if value is None:
        return ""
    return orjson.dumps(value).decode() if name in _OBJECTS else str(value)


def from_stream(flat: Mapping[bytes, bytes] | Mapping[str, str]) -> dict[str, Any]:
    """The envelope of a flat map. Keys that are not ours are kept as they are. Raises `Refused` for what cannot be read."""
    texts = {_text(name, "a key"): value for name, value in flat.items()}
    extra = _object(_text(texts.pop(EXTRA, "{}"), EXTRA), EXTRA)
    found: dict[str, Any] = {name: _text(value, name) for name, value in texts.items()}
    envelope = {name: _unflat(name, found[name]) for name in FIELDS if found.get(name)}
    envelope |= {name: value for name, value in found.items() if name not in FIELDS}
    return envelope | {name: value for name, value in extra.items() if name not in FIELDS}


def _unflat(name: str, text: str) -> Any:
    if name in _OBJECTS:
        return _object(text, name)
    return int(text) if name in _NUMBERS and _INTEGER.fullmatch(text) else text


def _text(value: bytes | str, where: str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refused("is not UTF-8", where=where) from None


def _object(text: Any, where: str) -> dict[str, Any]:
    if not isinstance(text, str):
        raise Refused("must be a JSON object as text", where=where)
    try:
        value, _ = read(text, bytes_max=_JSON_MAX, depth_max=LIMITS.depth)
    except Refused as refused:
        raise Refused(refused.what, where=".".join(filter(None, (where, refused.where))), hint=refused.hint) from None
    if not isinstance(value, dict):
        raise Refused("must be a JSON object as text", where=where)
    return value


def to_cloudevents(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The event in the structured JSON form of CloudEvents 1.0. It must have an `id`, as every event in a log does.

    Fields that CloudEvents does not know are extensions (`eclevel`). A text that its attribute may not hold (a line end in a
    description, a space in a source) stands in `ecmore`; the attributes that must be there hold it percent-encoded.
    """
    cloud: dict[str, Any] = {"specversion": SPECVERSION}
    more: dict[str, Any] = {}
    for name, value in envelope.items():
        if value is None and name in FIELDS:
            continue
        if name == "payload":
            cloud |= {"datacontenttype": _JSON_TYPE, "data": value}
        elif name in _JSON_EXTENSIONS:
            cloud[_JSON_EXTENSIONS[name]] = _ascii_json(value)
        elif name in _CORE:
            cloud[_CORE[name]] = value if _fits(name, value) else quote(value, safe=_URI_SAFE)
            more |= {} if _fits(name, value) else {name: value}
        elif (attribute := _EXTENSIONS.get(name) or _own_name(name)) and _fits(name, value):
            cloud[attribute] = value
        else:
            more[name] = value
    return cloud | {_MORE: _ascii_json(more)} if more else cloud


def _own_name(name: str) -> str | None:
    return name if _NAME.fullmatch(name) and name not in _RESERVED else None


def _fits(name: str, value: Any) -> bool:
    if name == "source":
        return _URI.fullmatch(value) is not None
    if isinstance(value, str):
        return bool(value) and not _NO_STRING.search(value)
    return isinstance(value, int) and -_INT32 <= value < _INT32


def _ascii_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f")


def from_cloudevents(cloud: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope of a CloudEvent in structured form, whoever made it. Raises `Refused` for what is none.

    Data that is no object becomes `{"data": ...}`. A type in mixed case is lowered. What has no place of its own is kept under
    `cloudevent`: the type as it was, schema and content type of the data, extensions that are named like one of our fields.
    """
    if cloud.get("specversion") != SPECVERSION:
        raise Refused(f"must be {SPECVERSION!r}: another version of CloudEvents may mean other things", where="specversion")
    given = {name: value for name, value in cloud.items() if value is not None}
    envelope = {name: given[attribute] for name, attribute in (_CORE | _EXTENSIONS).items() if attribute in given}
    envelope |= {
        name: _object(given[attribute], attribute) for name, attribute in _JSON_EXTENSIONS.items() if attribute in given
    }
    envelope |= _payload(given)
    kept = {name: given[name] for name in ("dataschema",) if name in given}
    if given.get("datacontenttype", _JSON_TYPE) != _JSON_TYPE:
        kept["datacontenttype"] = given["datacontenttype"]
    event = envelope.get("event")
    if isinstance(event, str) and not is_type(event) and is_type(event.lower()):
        kept["type"], envelope["event"] = event, event.lower()
    kept |= {name: value for name, value in given.items() if name == _KEPT or (name in FIELDS and name not in _RESERVED)}
    envelope |= {name: value for name, value in given.items() if name not in _RESERVED and name not in FIELDS}
    if kept:
        envelope[_KEPT] = kept
    return _with_more(envelope, _object(given[_MORE], _MORE) if _MORE in given else {})


def _payload(given: Mapping[str, Any]) -> dict[str, Any]:
    if "data_base64" in given:
        return {"payload": {"data_base64": given["data_base64"]}}
    if "data" not in given:
        return {}
    return {"payload": given["data"] if isinstance(given["data"], dict) else {"data": given["data"]}}


def _with_more(envelope: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in more.items():
        encoded = quote(value, safe=_URI_SAFE) if name in _CORE and isinstance(value, str) else None
        if name not in envelope or encoded == envelope[name]:
            envelope[name] = value
    return envelope
